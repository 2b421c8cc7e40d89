"""The short-time Fourier transform, as the losses and the discriminators see sound.

Half-overlapping windows of `size` samples under a Hann window h, scaled so that white noise of
variance v has mean power v at every size:

(1) X[m, k] = sum_n h[n] x[m size/2 + n] exp(-2 pi i k n / size) / sqrt(sum_n h[n]^2)
"""

import jax
import jax.numpy as jnp
import numpy as np


def stft(x: jax.Array, size: int) -> jax.Array:
    """Equation (1): `[batch, sample, channel]` -> complex `[batch, channel, frame, bin]`.

    Half a window of zeros is put in front, and behind up to a whole number of half windows.
    """
    return jax.lax.complex(*stft_parts(x, size))


def stft_parts(x: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The real and the imaginary part of `stft`.

    Where both are used alone: a CPU works through complex numbers one by one, real ones in vectors.
    """
    hop = size // 2
    x = jnp.moveaxis(x, 2, 1)  # [batch, channel, sample]
    x = jnp.pad(x, ((0, 0), (0, 0), (hop, hop + -x.shape[2] % hop)))
    blocks = x.reshape(*x.shape[:2], -1, hop)
    frames = jnp.concatenate([blocks[:, :, :-1], blocks[:, :, 1:]], axis=-1)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2  # its power sums to 3/8 size
    return _rfft_parts(frames * (window / np.sqrt(0.375 * size)).astype(np.float32))


@jax.custom_vjp
def _rfft_parts(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """R_k + i I_k = sum_n x_n exp(-2 pi i k n / size), k = 0 .. size / 2, of an even size."""
    spectrum = jnp.fft.rfft(x)
    return spectrum.real, spectrum.imag


def _rfft_parts_forward(x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
    return _rfft_parts(x), None


def _rfft_parts_gradient(_: None, given: tuple[jax.Array, jax.Array]) -> tuple[jax.Array]:
    """dx_n = sum_k (dR_k cos - dI_k sin)(2 pi k n / size), which is an inverse transform.

    That one counts each frequency but the first and the last twice.
    """
    once = np.full(given[0].shape[-1], 0.5, np.float32)
    once[[0, -1]] = 1
    return (jnp.fft.irfft(jax.lax.complex(*(part * once for part in given)), norm='forward'),)


_rfft_parts.defvjp(_rfft_parts_forward, _rfft_parts_gradient)
