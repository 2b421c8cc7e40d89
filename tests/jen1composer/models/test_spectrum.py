"""The short-time Fourier transform: numpy's, and of one scale at every size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.spectrum import stft, stft_parts
from tests.jen1composer.tiny_codec import sound


def test_the_transform_is_that_of_numpy():
    x = sound(1, 512, 1)
    ours = stft(jnp.asarray(x), 128)[0, 0, 3]  # half a window of padding, then steps of half
    window = np.sin(np.pi * (np.arange(128) + 0.5) / 128) ** 2
    theirs = np.fft.rfft(x[0, 128:256, 0] * window / np.sqrt(0.375 * 128))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize('size', [64, 512])
def test_white_noise_has_its_variance_as_mean_power(size):
    spectrum = np.asarray(stft(jnp.asarray(sound(4, 20_000, 2)), size))
    inner = spectrum[:, :, 1:-1, 1:-1]  # the ends are partly padding
    np.testing.assert_allclose(np.square(np.abs(inner)).mean(), 0.01, rtol=0.05)


@pytest.mark.parametrize('samples', [1, 63, 64, 65])
def test_any_length_is_taken(samples):
    frames = -(-samples // 32) + 1
    assert stft(jnp.ones((1, samples, 2)), 64).shape == (1, 2, frames, 33)


@pytest.mark.parametrize('size', [16, 64])
def test_both_parts_have_the_gradient_of_the_sums_that_they_are(size):
    """The transform as a matrix has the gradient that is written out for the fast one."""
    x = jnp.asarray(sound(2, 3 * size, 2))
    weight = jnp.asarray(np.random.default_rng(0).standard_normal((2, 2, 2, 7, size // 2 + 1)))

    def by_parts(x):
        return jnp.sum(weight * jnp.stack(stft_parts(x, size)))

    def by_columns(x):
        tones = jnp.fft.rfft(jnp.eye(size))  # [sample, bin]
        columns = jnp.stack([tones.real, tones.imag])
        hop = size // 2
        padded = jnp.pad(x, ((0, 0), (hop, hop), (0, 0)))
        starts = range(0, padded.shape[1] - hop, hop)
        frames = jnp.stack([padded[:, start : start + size] for start in starts], axis=1)
        window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2 / np.sqrt(0.375 * size)
        return jnp.sum(weight * jnp.einsum('BFNC,N,PNK->PBCFK', frames, window, columns))

    np.testing.assert_allclose(by_parts(x), by_columns(x), rtol=1e-4)
    np.testing.assert_allclose(jax.grad(by_parts)(x), jax.grad(by_columns)(x), atol=1e-5)
