"""The autoencoder's training: spoiling is keyed by example, and a few steps lower the loss."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.randomness import Draw, example_keys, track_noise
from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import Autoencoder
from jen1composer.training.autoencoder_losses import AutoencoderLossConfig
from jen1composer.training.autoencoder_step import AutoencoderTaskConfig, make_loss, spoil
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.state import initial_state
from jen1composer.training.step import make_train_step
from tests.jen1composer.tiny_codec import TINY, TONAL, params, sound

TASK = AutoencoderTaskConfig(losses=AutoencoderLossConfig(sizes=(128, 64), tones=1.0))


def test_an_example_is_spoilt_alike_in_any_batch():
    z = jnp.asarray(sound(3, 9, 4))
    index = jnp.array([7, 8, 9], jnp.uint32)
    together = spoil(z, index, TASK, seed=0)
    alone = spoil(z[1:2], index[1:2], TASK, seed=0)
    np.testing.assert_array_equal(together[1:2], alone)
    assert not np.array_equal(together[1:2], spoil(z[1:2], index[1:2], TASK, seed=1))


def test_the_share_of_masked_frames_and_the_size_of_the_noise_are_as_asked():
    z = jnp.ones((200, 50, 8))
    config = AutoencoderTaskConfig(masked_share=0.2, noise=0.5)
    spoilt = np.asarray(spoil(z, jnp.arange(200, dtype=jnp.uint32), config, seed=0))
    masked = (spoilt == 0).all(-1)
    np.testing.assert_allclose(masked.mean(), 0.2, atol=0.02)
    np.testing.assert_allclose((spoilt[~masked] - 1).std(), 0.5, rtol=0.02)


def test_noise_and_mask_are_drawn_apart_from_those_of_the_composer():
    z, index = jnp.zeros((2, 9, 4)), jnp.array([7, 8], jnp.uint32)
    noise = spoil(z, index, AutoencoderTaskConfig(masked_share=0, noise=1), seed=3)
    composer = track_noise(3, index, (1, 9, 4))[:, 0]
    assert np.abs(np.corrcoef(np.ravel(noise), np.ravel(composer))[0, 1]) < 0.5
    expected = jax.random.normal(example_keys(3, index, Draw.LATENT_NOISE)[1], (9, 4))
    np.testing.assert_array_equal(noise[1], expected)


@pytest.mark.parametrize(
    ('config', 'field', 'value'),
    [
        (AutoencoderTaskConfig, 'masked_share', 1.0),
        (AutoencoderTaskConfig, 'noise', -0.1),
        (AutoencoderTaskConfig, 'latent_penalty', math.nan),
        (AutoencoderLossConfig, 'sizes', (7,)),
        (AutoencoderLossConfig, 'sizes', ()),
        (AutoencoderLossConfig, 'floor', 0.0),
        (AutoencoderLossConfig, 'log_mel', -1.0),
    ],
)
def test_values_that_make_no_sense_are_refused(config, field, value):
    with pytest.raises(BadInput, match=rf'\.{field}: .*; allowed (is|are) '):
        config(**{field: value})


@pytest.mark.parametrize('config', [TINY, TONAL], ids=['tiny', 'tonal'])
def test_training_on_one_batch_lowers_the_loss(config):
    batch = {
        'waveform': jnp.asarray(sound(2, 20 * TINY.hop_samples, 2)),
        'index': jnp.arange(2, dtype=jnp.uint32),
    }
    optimizer = make_optimizer(
        OptimizerConfig(peak_learning_rate=1e-2, total_steps=40, warmup_steps=2)
    )
    state = initial_state(functools.partial(params, config), optimizer)
    step = jax.jit(make_train_step(make_loss(Autoencoder(config), TASK, 0), optimizer, 0.9))
    losses = []
    for _ in range(40):
        state, metrics = step(state, batch)
        losses.append(float(metrics['loss']))
    assert losses[-1] < 0.7 * losses[0]
    assert ('tones' in metrics) == (config is TONAL)
    assert np.isfinite(losses).all()
