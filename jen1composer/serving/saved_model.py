"""An export's programs as a TensorFlow SavedModel, for what serves nothing else.

Each program of `serving.programs` is a signature of its name, whose inputs and outputs are those
of the program; batch and length are free as there. The weights are variables, each held once. It
needs the extra `savedmodel` (orbax-export, TensorFlow), 2.4 GB, which nothing else here imports.
"""

import os
from typing import Any

import jax
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composer
from jen1composer.generation.export_folder import text_arrays
from jen1composer.serving.programs import PLATFORMS, Program, programs, unet_arrays

FOLDER = 'savedmodel'
TEXT = 'text/'  # what the names of the text encoder's weights begin with, in one dict with others


def require_packages() -> None:
    """Raises BadInput where the extra is not installed."""
    try:
        import orbax.export  # noqa: F401
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise BadInput(
            f"--savedmodel: {error.name} is not installed; needed is pip install 'jen1composer"
            "[savedmodel]'"
        ) from error


def write_saved_model(folder: epath.PathLike, composer: Composer, *, text: bool) -> None:
    """Writes the SavedModel `folder`; `text` as for `programs`."""
    require_packages()
    import tensorflow as tf
    from orbax.export import ExportManager, JaxModule, ServingConfig

    made = programs(composer, text=text)
    weights = unet_arrays(composer) | composer.codec.arrays
    if text:
        of_text = text_arrays(composer.text_encoder)
        weights |= {TEXT + name: array for name, array in of_text.items()}
    module = JaxModule(
        weights,
        {name: _method(name, program) for name, program in made.items()},
        trainable=False,
        input_polymorphic_shape={name: _shapes(program) for name, program in made.items()},
        jax2tf_kwargs={
            name: {'native_serialization_platforms': PLATFORMS, 'with_gradient': False}
            for name in made
        },
    )

    def signature(program: Program) -> list[dict[str, Any]]:
        return [
            {
                name: tf.TensorSpec(
                    [size if isinstance(size, int) else None for size in leaf.shape],
                    leaf.dtype,
                    name=name,
                )
                for name, leaf in program.inputs.items()
            }
        ]

    configs = [
        ServingConfig(name, input_signature=signature(program), method_key=name)
        for name, program in made.items()
    ]
    ExportManager(module, configs).save(os.fspath(folder))


def _method(name: str, program: Program) -> Any:
    """`program` as a function of all weights."""
    prefix = TEXT if name == 'text' else ''

    def method(weights: dict[str, jax.Array], inputs: dict[str, jax.Array]) -> Any:
        return program.function({key: weights[prefix + key] for key in program.weights}, inputs)

    return method


def _shapes(program: Program) -> dict[str, str]:
    """The symbolic shapes of its inputs, as jax2tf reads them: 'b, 4, 4*f, 24'."""
    return {name: ', '.join(map(str, leaf.shape)) for name, leaf in program.inputs.items()}
