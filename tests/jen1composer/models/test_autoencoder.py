"""The autoencoder: its shapes, and how far it looks."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import demo_autoencoder, paper_autoencoder
from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import (
    Autoencoder,
    AutoencoderConfig,
    band_weights,
    decode,
    encode,
    rotate_stereo,
)
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training.state import parameter_count
from tests.jen1composer.tiny_codec import TINY, TONAL, params, sound

DEEP = dataclasses.replace(TINY, encoder_blocks=(2, 1, 3), decoder_blocks=(3, 2, 2), kernel=5)
FRAMES, MIDDLE = 41, 20


@pytest.mark.parametrize('frames', [1, 2, 7])
def test_one_latent_for_each_hop_and_back(frames):
    model, weights = Autoencoder(TINY), params()
    x = sound(2, frames * TINY.hop_samples, 2)
    z = jax.eval_shape(functools.partial(encode, model), weights, jnp.asarray(x))
    assert z.shape == (2, frames, TINY.latent_channels)
    assert jax.eval_shape(functools.partial(decode, model), weights, z).shape == x.shape


def test_sound_that_is_no_whole_number_of_hops_is_refused():
    with pytest.raises(ValueError, match='73 samples; allowed are multiples of 72'):
        encode(Autoencoder(TINY), params(), jnp.zeros((1, 73, 2)))


@pytest.mark.parametrize('config', [TINY, DEEP, TONAL], ids=['tiny', 'deep', 'tonal'])
def test_the_encoder_reaches_as_far_as_it_says_and_no_further(config):
    hop = config.hop_samples
    x = jnp.asarray(sound(1, FRAMES * hop, 2))
    frame = jnp.zeros_like(x).at[:, MIDDLE * hop : (MIDDLE + 1) * hop].set(1)
    model, weights = Autoencoder(config), params(config)
    change = derivative(functools.partial(encode, model, weights), x, frame)
    check_reach(np.abs(change).max(axis=(0, 2)), config.encoder_reach)


@pytest.mark.parametrize('config', [TINY, DEEP, TONAL], ids=['tiny', 'deep', 'tonal'])
def test_the_decoder_reaches_as_far_as_it_says_and_no_further(config):
    z = jnp.asarray(sound(1, FRAMES, config.latent_channels))
    frame = jnp.zeros_like(z).at[:, MIDDLE].set(1)
    model, weights = Autoencoder(config), params(config)
    change = derivative(functools.partial(decode, model, weights), z, frame).reshape(FRAMES, -1)
    check_reach(np.abs(change).max(axis=1), config.decoder_reach)


def test_a_tone_that_the_decoder_names_is_heard():
    """Its bias alone makes one pitch loud on one side, whatever the latents say."""
    model, weights, pitch = Autoencoder(TONAL), params(TONAL), 4
    bias = np.zeros((len(TONAL.pitches.hz), 2), np.float32)
    bias[pitch, 1] = 7.0  # a level of about 1/e
    loud = {**weights, 'tone': {**weights['tone'], 'bias': jnp.asarray(bias.ravel())}}
    z = jnp.zeros((1, 60, TONAL.latent_channels))
    added = np.asarray(decode(model, loud, z) - decode(model, weights, z))[0]
    heard = np.abs(np.fft.rfft(added[:, 1] * np.hanning(len(added)))) * 4 / len(added)
    assert heard.argmax() == round(TONAL.pitches.hz[pitch] * len(added) / SAMPLE_RATE)
    np.testing.assert_allclose(heard.max(), np.exp(-1), rtol=0.2)
    assert np.abs(added[:, 0]).max() < 1e-5


def derivative(f, x, direction):
    """Of f at x: unlike a difference it is exactly zero where f does not depend on x."""
    return jax.jit(lambda x, dx: jax.jvp(f, (x,), (dx,))[1])(x, direction)


def check_reach(change: np.ndarray, reach: int) -> None:
    """The derivative by the middle frame is not zero at `reach` and exactly zero beyond it."""
    touched = np.abs(np.flatnonzero(change) - MIDDLE)
    assert touched.max() == reach < MIDDLE


@pytest.mark.parametrize('config_file', [demo_autoencoder, paper_autoencoder])
def test_the_configs_are_of_the_shape_they_promise(config_file):
    config = AutoencoderConfig(**config_file.get_config().model.to_dict())
    hop, channels = {demo_autoencoder: (1920, 64), paper_autoencoder: (320, 128)}[config_file]
    assert config.hop_samples == config_file.get_config().hop_samples == hop
    x = jax.ShapeDtypeStruct((1, 4 * hop, 2), jnp.float32)
    model = Autoencoder(config)
    weights = jax.eval_shape(model.init, jax.random.key(0), x)['params']
    z = jax.eval_shape(lambda weights, x: encode(model, weights, x), weights, x)
    assert z.shape == (1, 4, channels)
    if config_file is paper_autoencoder:
        assert f'{parameter_count(nn.unbox(weights)):,}' in config_file.__doc__


@pytest.mark.parametrize('config', [TINY, TONAL], ids=['tiny', 'tonal'])
def test_every_weight_names_its_axes(config):
    boxed = jax.eval_shape(Autoencoder(config).init, jax.random.key(0), jnp.zeros((1, 72, 2)))
    leaves = jax.tree.leaves(boxed, is_leaf=lambda leaf: hasattr(leaf, 'names'))
    assert leaves
    for leaf in leaves:
        assert len(leaf.names) == leaf.value.ndim


def test_mid_and_side_turn_back_into_left_and_right():
    x = jnp.asarray(sound(1, 8, 2))
    np.testing.assert_allclose(rotate_stereo(rotate_stereo(x)), x, atol=1e-7)
    np.testing.assert_allclose(rotate_stereo(jnp.ones((1, 1, 2)))[0, 0], [np.sqrt(2), 0], rtol=1e-6)


def test_a_flat_gain_is_flat_over_all_frequencies():
    np.testing.assert_allclose(band_weights(TINY).sum(0), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'channels': (4, 4)}, 'one entry per level'),
        ({'kernel': 4}, 'allowed are odd widths'),
        ({'strides': (0, 3, 2)}, 'model.strides: .* whole numbers of 1 or more'),
        ({'latent_channels': 0}, 'model.latent_channels: 0; allowed is 1 or more'),
        ({'bands': 1}, 'model.bands: 1; allowed is 2 or more'),
        ({'tones_per_octave': -1}, 'model.tones_per_octave: -1; allowed is 0 or more'),
        (
            {'tones_per_octave': 1, 'tone_lowest_hz': 440.0, 'tone_octaves': 7},
            r'tone_octaves: \(440.0, 7\); allowed are octaves of up to 24000 Hz',
        ),
        ({'tones_per_octave': 1, 'tone_window': 9}, 'model.tone_window: 9; allowed'),
        ({'bands': 12, 'band_corner_hz': 300.0}, 'take fewer bands'),
    ],
)
def test_a_config_that_cannot_be_built_is_refused(change, message):
    with pytest.raises(BadInput, match=message):
        dataclasses.replace(TINY, **change)
