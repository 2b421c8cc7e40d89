"""The SavedModel, where TensorFlow is there; elsewhere that it is asked for in one line."""

import importlib.util

import jax
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.serving.programs import programs, unet_arrays
from jen1composer.serving.saved_model import require_packages, write_saved_model
from jen1composer.serving.weight_quality import step_inputs
from tests.jen1composer import tiny_composer

INSTALLED = importlib.util.find_spec('tensorflow') is not None


@pytest.mark.skipif(not INSTALLED, reason="needs pip install 'jen1composer[savedmodel]'")
def test_tensorflow_does_what_the_programs_do(tmp_path):
    import tensorflow as tf

    composer = tiny_composer.composer(spans=True)
    write_saved_model(tmp_path / 'model', composer, text=False)
    signatures = tf.saved_model.load(str(tmp_path / 'model')).signatures
    made = programs(composer, text=False)
    assert set(signatures) == set(made)
    latents = np.random.default_rng(0).standard_normal((3, 10, 5)).astype(np.float32)
    for name, weights, inputs in (
        ('step', unet_arrays(composer), step_inputs(composer, rows=3)),
        ('decode', composer.codec.arrays, {'latents': latents}),
    ):
        tensors = {key: tf.constant(array) for key, array in inputs.items()}
        found = signatures[name](**tensors)
        expected = jax.jit(made[name].function)(weights, inputs)
        for key in expected:
            np.testing.assert_allclose(found[key].numpy(), expected[key], atol=1e-5)


@pytest.mark.skipif(INSTALLED, reason='TensorFlow is installed')
def test_what_is_not_installed_is_asked_for():
    with pytest.raises(BadInput, match=r"--savedmodel: .* needed is pip install 'jen1composer\["):
        require_packages()
