"""What the autoencoder is held to, in frequency and in time; no listener is trained against it.

Let X and Y be the short-time Fourier transforms of the original x and of the decoded y with a Hann
window of `size` samples, advanced by half of it and scaled so that white noise of variance v has
mean power v; M a mel filterbank of size / 16 bands, each a weighted mean of bins; e the floor, the
magnitude below which all counts as silence.

(1) log mel          mean |log(M|X|^2 + e^2) - log(M|Y|^2 + e^2)| / 2
(2) log magnitude    mean |log(|X|^2 + e^2) - log(|Y|^2 + e^2)| / 2
(3) waveform         mean |x - y| / (mean |x| + e)

(1) and (2) are averaged over the sizes (a long window resolves pitch, a short one onsets) and over
four views: left and right, and mid = (left + right) / sqrt 2 and side = (left - right) / sqrt 2,
since a decoder that is right in each ear alone may still lose the stereo image. The transform is
linear, so only left and right are transformed. (1) weighs bands as an ear does, (2) asks for single
partials, (3) alone knows the phase, which the latents can carry in the bass.

The floor stands inside each logarithm, so that silence has a finite gradient.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import librosa
import numpy as np

from jen1composer.errors import require
from jen1composer.tracks import SAMPLE_RATE


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderLossConfig:
    sizes: tuple[int, ...] = (2048, 512, 128)  # samples in a window
    floor: float = 1e-3  # e, -60 dB of full scale

    # weights
    log_mel: float = 1.0
    log_magnitude: float = 0.3
    waveform: float = 0.1

    def __post_init__(self) -> None:
        whole = all(size >= 16 and size % 16 == 0 for size in self.sizes)
        allowed = 'are one or more multiples of 16'
        require(len(self.sizes) > 0 and whole, 'losses.sizes', self.sizes, allowed)
        require(0 < self.floor < math.inf, 'losses.floor', self.floor, 'is more than 0')
        for name in ('log_mel', 'log_magnitude', 'waveform'):
            value = getattr(self, name)
            require(0 <= value < math.inf, f'losses.{name}', value, 'is 0 or more')


def reconstruction_loss(
    original: jax.Array, decoded: jax.Array, config: AutoencoderLossConfig
) -> tuple[jax.Array, Mapping[str, jax.Array]]:
    """The weighted sum of (1) to (3), and each of them unweighted by name.

    Args:
        original: `[batch, sample, 2]`, left and right.
        decoded: the same shape.
        config: weights, window sizes and floor.
    """
    log_mel = log_magnitude = jnp.zeros(())
    for size in config.sizes:
        # [batch, view, frame, bin]
        true, ours = power_views(original, size), power_views(decoded, size)
        log_magnitude += log_distance(true, ours, config.floor) / len(config.sizes)
        bands = mel_bands(size)
        log_mel += log_distance(true @ bands, ours @ bands, config.floor) / len(config.sizes)
    loudness = jnp.mean(jnp.abs(original)) + config.floor
    waveform = jnp.mean(jnp.abs(original - decoded)) / loudness
    loss = (
        config.log_mel * log_mel + config.log_magnitude * log_magnitude + config.waveform * waveform
    )
    return loss, {'log_mel': log_mel, 'log_magnitude': log_magnitude, 'waveform': waveform}


def log_distance(true: jax.Array, ours: jax.Array, floor: float) -> jax.Array:
    """Mean difference of log magnitudes, given powers of one shape."""
    return jnp.mean(jnp.abs(jnp.log(true + floor**2) - jnp.log(ours + floor**2))) / 2


def power_views(x: jax.Array, size: int) -> jax.Array:
    """`[batch, sample, 2]` -> `|X|^2` of left, right, mid and side, `[batch, 4, frame, bin]`."""
    left, right = jnp.moveaxis(stft(x, size), 1, 0)
    half = np.float32(np.sqrt(0.5))
    views = jnp.stack([left, right, (left + right) * half, (left - right) * half], axis=1)
    return jnp.square(views.real) + jnp.square(views.imag)


def stft(x: jax.Array, size: int) -> jax.Array:
    """`[batch, sample, channel]` -> complex `[batch, channel, frame, bin]`, half overlapped.

    Half a window of zeros is put in front, and behind up to a whole number of half windows.
    """
    hop = size // 2
    x = jnp.moveaxis(x, 2, 1)  # [batch, channel, sample]
    x = jnp.pad(x, ((0, 0), (0, 0), (hop, hop + -x.shape[2] % hop)))
    blocks = x.reshape(*x.shape[:2], -1, hop)
    frames = jnp.concatenate([blocks[:, :, :-1], blocks[:, :, 1:]], axis=-1)
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2  # Hann; its power sums to 3/8 size
    return jnp.fft.rfft(frames * (window / np.sqrt(0.375 * size)).astype(np.float32))


@functools.cache
def mel_bands(size: int) -> np.ndarray:
    """M: float32 `[bin, band]`, columns sum to 1."""
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=size, n_mels=size // 16)
    return (bank / bank.sum(axis=1, keepdims=True)).T.astype(np.float32)
