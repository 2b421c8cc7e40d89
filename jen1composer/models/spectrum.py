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
    hop = size // 2
    x = jnp.moveaxis(x, 2, 1)  # [batch, channel, sample]
    x = jnp.pad(x, ((0, 0), (0, 0), (hop, hop + -x.shape[2] % hop)))
    blocks = x.reshape(*x.shape[:2], -1, hop)
    frames = jnp.concatenate([blocks[:, :, :-1], blocks[:, :, 1:]], axis=-1)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2  # its power sums to 3/8 size
    return jnp.fft.rfft(frames * (window / np.sqrt(0.375 * size)).astype(np.float32))
