"""The autoencoder's losses: zero at the truth, finite at silence, and true to their scale."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.training.autoencoder_losses import (
    AutoencoderLossConfig,
    mel_bands,
    power_views,
    reconstruction_loss,
    stft,
)
from tests.jen1composer.tiny_codec import sound

CONFIG = AutoencoderLossConfig(sizes=(256, 64), log_mel=1.0, log_magnitude=1.0, waveform=1.0)


@functools.partial(jax.jit, static_argnums=2)
def loss_of(original, decoded, config=CONFIG):
    return reconstruction_loss(original, decoded, config)


def test_a_perfect_copy_costs_nothing():
    x = jnp.asarray(sound(2, 1000, 2))
    loss, terms = loss_of(x, x)
    assert loss == 0
    assert all(term == 0 for term in terms.values())


@pytest.mark.parametrize('original', [0.0, 0.1])
def test_silence_has_a_finite_gradient(original):
    x = original * jnp.asarray(sound(1, 1000, 2))
    gradient = jax.grad(lambda y: loss_of(x, y)[0])(jnp.zeros_like(x))
    assert np.isfinite(gradient).all()


def test_the_spectra_of_white_noise_have_its_variance():
    x = jnp.asarray(sound(4, 20_000, 2))
    for size in (2048, 256):
        inner = jax.jit(power_views, static_argnums=1)(x, size)[
            :, :, 1:-1, 1:-1
        ]  # the ends are partly padding
        np.testing.assert_allclose(inner.mean(axis=(0, 2, 3)), 0.01, rtol=0.05)


def test_half_as_loud_costs_log_two():
    # Far above the floor, both log terms are the difference of log magnitudes.
    x = 1e4 * jnp.asarray(sound(1, 4096, 2))
    _, terms = loss_of(x, x / 2)
    np.testing.assert_allclose(terms['log_mel'], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(terms['log_magnitude'], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(terms['waveform'], 0.5, rtol=1e-3)


def test_what_each_ear_alone_cannot_hear_is_heard():
    # Right inverted: left and right keep their magnitudes, mid and side change places.
    x = jnp.asarray(sound(1, 4096, 1)) * jnp.ones((1, 1, 2))
    _, terms = loss_of(x, x * jnp.array([1.0, -1.0]))
    assert terms['log_mel'] > 1


def test_the_weights_weigh():
    x, y = jnp.asarray(sound(1, 1000, 2)), jnp.asarray(sound(1, 1000, 2, seed=1))
    config = AutoencoderLossConfig(sizes=(64,), log_mel=2.0, log_magnitude=3.0, waveform=5.0)
    loss, terms = loss_of(x, y, config)
    expected = 2 * terms['log_mel'] + 3 * terms['log_magnitude'] + 5 * terms['waveform']
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_the_transform_is_that_of_numpy():
    x = sound(1, 512, 1)
    ours = stft(jnp.asarray(x), 128)[0, 0, 3]  # half a window of padding, then steps of half
    window = np.sin(np.pi * (np.arange(128) + 0.5) / 128) ** 2
    theirs = np.fft.rfft(x[0, 128:256, 0] * window / np.sqrt(0.375 * 128))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_band_is_a_weighted_mean_of_bins():
    np.testing.assert_allclose(mel_bands(256).sum(0), 1, rtol=1e-6)
