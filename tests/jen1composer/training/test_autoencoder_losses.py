"""The autoencoder's losses: zero at the truth, finite at silence, and true to their scale."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.spectrum import stft
from jen1composer.training.autoencoder_losses import (
    AutoencoderLossConfig,
    mel_bands,
    power,
    reconstruction_loss,
    tone_distance,
    views,
)
from tests.jen1composer.tiny_codec import sound

CONFIG = AutoencoderLossConfig(sizes=(256, 64), log_mel=1, log_magnitude=1, level=1, waveform=1)


@functools.partial(jax.jit, static_argnums=2)
def loss_of(original, decoded, config=CONFIG, step=0):
    return reconstruction_loss(original, decoded, config, step)


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


def test_white_noise_has_its_variance_in_every_view():
    x = jnp.asarray(sound(4, 20_000, 2))
    for size in (2048, 256):
        inner = power(views(stft(x, size)))[:, :, 1:-1, 1:-1]  # the ends are partly padding
        np.testing.assert_allclose(inner.mean(axis=(0, 2, 3)), 0.01, rtol=0.05)


def test_half_as_loud_costs_log_two():
    # Far above the floor, each log term is the difference of log magnitudes.
    x = 1e4 * jnp.asarray(sound(1, 4096, 2))
    _, terms = loss_of(x, x / 2)
    np.testing.assert_allclose(terms['log_mel'], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(terms['log_magnitude'], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(terms['level'], np.log(2), rtol=1e-3)
    np.testing.assert_allclose(terms['waveform'], 0.5, rtol=1e-3)


def test_the_level_is_the_power_of_each_view_and_nothing_of_its_spectrum():
    x = 1e4 * jnp.asarray(sound(1, 4096, 2))
    _, terms = loss_of(x, x[:, ::-1])
    assert terms['level'] < 1e-6 < 0.5 < terms['log_magnitude']
    _, terms = loss_of(x, x * jnp.array([1.0, 0.5]))  # left as it is, right at half
    mid, side = (np.square(x[0, :, 0] + sign * x[0, :, 1]).mean() for sign in (1, -1))
    ours = [np.square(x[0, :, 0] + sign * 0.5 * x[0, :, 1]).mean() for sign in (1, -1)]
    logs = [0, np.log(2), *np.abs(np.log([ours[0] / mid, ours[1] / side])) / 2]
    np.testing.assert_allclose(terms['level'], np.mean(logs), rtol=1e-4)


def test_what_each_ear_alone_cannot_hear_is_heard():
    # Right inverted: left and right keep their magnitudes, mid and side change places.
    x = jnp.asarray(sound(1, 4096, 1)) * jnp.ones((1, 1, 2))
    _, terms = loss_of(x, x * jnp.array([1.0, -1.0]))
    assert terms['log_mel'] > 1


def test_the_weights_weigh():
    x, y = jnp.asarray(sound(1, 1000, 2)), jnp.asarray(sound(1, 1000, 2, seed=1))
    config = AutoencoderLossConfig(sizes=(64,), log_mel=2, log_magnitude=3, level=7, waveform=5)
    loss, terms = loss_of(x, y, config)
    weights = {'log_mel': 2, 'log_magnitude': 3, 'level': 7, 'waveform': 5}
    expected = sum(weights[name] * terms[name] for name in terms)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_the_sizes_in_turn_are_on_average_all_at_once():
    x, y = jnp.asarray(sound(1, 1000, 2)), jnp.asarray(sound(1, 1000, 2, seed=1))
    turns = dataclasses.replace(CONFIG, in_turn=True)
    at_once = jax.jit(jax.value_and_grad(lambda y: loss_of(x, y)[0]))(y)
    in_turn = jax.jit(jax.value_and_grad(lambda y, step: loss_of(x, y, turns, step)[0]))
    first, second, third = (in_turn(y, step) for step in range(3))
    jax.tree.map(np.testing.assert_array_equal, third, first)
    for found, a, b in zip(at_once, first, second, strict=True):
        np.testing.assert_allclose(found, (a + b) / 2, rtol=1e-4, atol=1e-7)
        assert np.abs(a - b).max() > 1e-3 * np.abs(found).max()


def test_a_band_is_a_weighted_mean_of_bins():
    np.testing.assert_allclose(mel_bands(256).sum(0), 1, rtol=1e-6)


def test_the_distance_of_tones_is_that_of_log_levels_and_takes_the_mean_within_a_latent_frame():
    measured = jnp.full((2, 3, 5, 2), 0.2)
    told = jnp.tile(jnp.array([0.1, 0.3])[:, None, None], (2, 3, 5, 2))  # mean .2 within a frame
    np.testing.assert_allclose(tone_distance(measured, told, 1e-3), 0, atol=1e-6)
    np.testing.assert_allclose(tone_distance(measured, 2 * told, 1e-6), np.log(2), rtol=1e-4)
    assert np.isfinite(jax.grad(lambda x: tone_distance(measured, x, 1e-3))(0 * told)).all()
