"""Writes a composer as a folder to hand on; what is in it stands in `generation.export_folder`.

The folder is written aside and renamed, so it is whole or not there.
"""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from etils import epath
from jax import export

from jen1composer.errors import BadInput, require
from jen1composer.generation import scales
from jen1composer.generation.composer import Composer
from jen1composer.generation.export_folder import (
    CONFIG,
    SUMS,
    TEXT_WEIGHTS,
    TOKENIZER,
    VERSION,
    describe_text_encoder,
    sha256,
    text_arrays,
    weights_file,
)
from jen1composer.generation.weight_formats import FORMATS, pack
from jen1composer.serving.programs import SAMPLER, programs, unet_arrays
from jen1composer.serving.saved_model import FOLDER as SAVED_MODEL
from jen1composer.serving.saved_model import require_packages, write_saved_model

RUNTIME = 'compose.py'  # the module beside this one, which imports nothing of this package
CARD = 'README.md'

Progress = Callable[[int, int], None]


def write_export(
    out: epath.PathLike,
    composer: Composer,
    *,
    card: Callable[[Mapping[str, int]], str],
    variants: Sequence[str] = (),
    float32: bool = True,
    embed_text_encoder: bool = False,
    saved_model: bool = False,
    beside: Mapping[str, bytes] = MappingProxyType({}),
    progress: Progress = lambda done, total: None,
) -> dict[str, int]:
    """Writes the folder `out` and returns the sizes of its files in bytes.

    Args:
        out: a folder that is not there yet, is empty, or is an export, which is replaced.
        composer: what to write.
        card: makes README.md of the sizes of the other files, in bytes by name.
        variants: of `weight_formats.FORMATS`, beside float32.
        float32: whether the weights are there as they are, too; without them a variant is needed.
        embed_text_encoder: whether its weights and its program are in the folder.
        saved_model: whether there is a folder savedmodel/ too, see `serving.saved_model`.
        beside: more files, by name: what the card shows or refers to.
        progress: called with the number of files done and of all.

    Raises:
        BadInput: for another `out`, an unknown variant or none, or where packages are missing.
    """
    out = epath.Path(out)
    check_out(out)
    for form in variants:
        require(form in FORMATS, '--variants', form, f'are {", ".join(FORMATS)}')
    forms = tuple(form for form in FORMATS if form in variants or (float32 and form == FORMATS[0]))
    require(bool(forms), '--variants', variants, f'are {", ".join(FORMATS[1:])} without float32')
    if saved_model:
        require_packages()
    made = {
        name: program.export()
        for name, program in programs(composer, text=embed_text_encoder).items()
    }
    files = _files(composer, made, forms, embed_text_encoder)
    files |= {name: functools.partial(bytes, content) for name, content in beside.items()}
    total = len(files) + saved_model
    aside = out.with_name(f'{out.name}.{os.getpid()}.aside')
    (aside / 'programs').mkdir(parents=True)
    try:
        for number, (name, content) in enumerate(files.items()):
            progress(number, total)
            (aside / name).write_bytes(content())
        if saved_model:
            progress(len(files), total)
            write_saved_model(aside / SAVED_MODEL, composer, text=embed_text_encoder)
        (aside / CARD).write_text(card(_sizes(aside)))
        sums = [f'{sha256(aside / name)}  {name}\n' for name in _sizes(aside)]
        (aside / SUMS).write_text(''.join(sums))
        if out.exists():
            out.rmtree()
        aside.rename(out)
    except BaseException:
        aside.rmtree(missing_ok=True)
        raise
    progress(total, total)
    return _sizes(out)


def check_out(out: epath.Path) -> None:
    """Raises BadInput where `out` holds something that is not an export."""
    if out.exists() and any(out.iterdir()) and not (out / SUMS).exists():
        raise BadInput(f'--out={out}: holds other files; allowed is a new folder or an export')


def model_arrays(composer: Composer) -> dict[str, np.ndarray]:
    """All weights of UNet, autoencoder and whitening by their names in the file."""
    return unet_arrays(composer) | composer.codec.arrays


def _sizes(folder: epath.Path, prefix: str = '') -> dict[str, int]:
    """The bytes of every file, by path in the folder."""
    sizes: dict[str, int] = {}
    for path in sorted(folder.iterdir()):
        name = prefix + path.name
        sizes |= _sizes(path, f'{name}/') if path.is_dir() else {name: path.stat().length}
    return sizes


def _files(
    composer: Composer,
    made: Mapping[str, export.Exported],
    forms: Sequence[str],
    embedded: bool,
) -> dict[str, Callable[[], bytes]]:
    """What makes the content of each file."""
    arrays = model_arrays(composer)
    text = composer.text_encoder
    config = json.dumps(_describe(composer, made, forms, embedded), indent=1) + '\n'
    runtime = epath.Path(__file__).with_name(RUNTIME)
    files: dict[str, Callable[[], bytes]] = {
        CONFIG: config.encode,
        RUNTIME: runtime.read_bytes,
        TOKENIZER: lambda: text.tokenizer.to_str().encode(),
    }
    for form in forms:
        files[weights_file(form)] = functools.partial(_packed, arrays, form)
    if embedded:
        files[TEXT_WEIGHTS] = functools.partial(_packed, text_arrays(text), 'float32')
    for name, exported in made.items():
        files[program_file(name)] = functools.partial(_serialized, exported)
    return files


def _packed(arrays: Mapping[str, np.ndarray], form: str) -> bytes:
    # safetensors writes the buffer as it lies, so a transposed view would come back scrambled.
    packed = {name: np.ascontiguousarray(leaf) for name, leaf in pack(arrays, form).items()}
    return safetensors.numpy.save(packed, metadata={'format': form})


def _serialized(exported: export.Exported) -> bytes:
    return bytes(exported.serialize())


def _describe(
    composer: Composer, made: Mapping[str, export.Exported], forms: Sequence[str], embedded: bool
) -> dict[str, Any]:
    """`config.json`."""
    spec, text = composer.spec, composer.text_encoder
    return {
        'version': VERSION,
        'jax': jax.__version__,
        'step': composer.step,
        'composer': dataclasses.asdict(spec),
        'autoencoder': dataclasses.asdict(composer.codec.config),
        'text_encoder': describe_text_encoder(text, embedded=embedded),
        'weights': {form: weights_file(form) for form in forms},
        'sampler': SAMPLER,
        't_max': spec.diffusion.prediction.t_max(spec.diffusion.schedule),
        'guidance': {'free': scales.TEXT, 'beside_tracks': scales.TEXT},
        'programs': {
            name: {
                'file': program_file(name),
                'calling_convention': exported.calling_convention_version,
                'platforms': list(exported.platforms),
                'inputs': _inputs(exported),
            }
            for name, exported in made.items()
        },
    }


def _inputs(exported: export.Exported) -> dict[str, str]:
    """What goes into a program beside weights, e.g. 'float32[b, 4, 4*f, 24]'."""
    (_, inputs), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    return {
        name: f'{leaf.dtype}[{", ".join(map(str, leaf.shape))}]' for name, leaf in inputs.items()
    }


def program_file(name: str) -> str:
    return f'programs/{name}.stablehlo'
