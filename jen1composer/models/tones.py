"""Tones: the levels of many fixed pitches, measured in sound, and sound made of them by the clock.

Whoever draws a sinusoid sample by sample must know at every frame where in its period it is. A slow
latent has better things to say, an ear does not ask, and a decoder that guesses it smears the tone.
Oscillators that run by the clock need not be told: only how loud each is.

With R the sample rate, B pitches an octave and a frame every s samples, pitch k of K and frame i:

(1) pitches     f_k = lowest 2^(k / B)
(2) levels      a_k[i]^2 = 2/3 sum_b T_k[b] |X_i[b]|^2,  X_i the Fourier transform of `window`
                samples around the middle of frame i under a Hann window that sums to 2, which
                spreads a sinusoid of level A over bins whose squares sum to 3/2 A^2;  T_k[b] the
                share of bin b that is pitch k's: max(0, 1 - |f_b - f_k| / d_k), with d_k the way
                to the next pitch, or to the next bin where that is further, over its sum over k.
                So sum_k a_k^2 = A^2, and the power of whatever sounds is counted once
(3) sound       y[n] = sum_i h[n - i s] sum_k A_k[i] cos(2 pi (f_k n / R + p_k)),  h a Hann window
                of 2 s samples centred on frame i, so that levels go from one frame to the next
(4) the clock   from one frame to the next f_k s / R turns pass, kept as a whole number c_k of 2^-32
                turns: at frame i it is i c_k modulo 2^32, exact after hours as after seconds

The phases p_k are spread evenly, so that no moment is the peak of all.

(3) is one matrix product a frame, as cos(u + v) = cos u cos v - sin u sin v: u is the clock at the
frame's beginning, and v, within the frame, is the same for all.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.models import framing
from jen1composer.tracks import SAMPLE_RATE

GOLDEN = (5**0.5 - 1) / 2  # its multiples are spread evenly between whole numbers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pitches:
    """Equation (1)."""

    lowest_hz: float
    per_octave: int
    octaves: int

    @property
    def hz(self) -> np.ndarray:
        """f_k: float64 [pitch]."""
        return self.lowest_hz * 2 ** (np.arange(self.octaves * self.per_octave) / self.per_octave)

    def bins(self, window: int) -> int:
        """Of a spectrum of `window` samples, from 0 Hz on, those that a level is made of."""
        return len(_weights(self, window))


def levels(x: jax.Array, pitches: Pitches, stride: int, window: int) -> jax.Array:
    """Equation (2): `[batch, n x stride, channel] -> [batch, n, pitch, channel]`, 0 or more.

    `window` is even. The bins beyond the highest pitch are not used.
    """
    batch, _, channels = x.shape
    beside = strides_beside(stride, window)
    rows = jnp.moveaxis(x, 2, 1).reshape(batch * channels, -1, stride)
    rows = jnp.pad(rows, ((0, 0), (beside, beside), (0, 0)))
    count = rows.shape[1] - 2 * beside
    around = jnp.concatenate([rows[:, k : k + count] for k in range(2 * beside + 1)], axis=-1)
    first = (around.shape[-1] - window) // 2
    hann = np.sin(np.pi * (np.arange(window) + 0.5) / window) ** 2
    shaped = around[:, :, first : first + window] * (2 * hann / hann.sum()).astype(np.float32)
    weights = _weights(pitches, window)
    spectrum = jnp.fft.rfft(shaped)[..., : len(weights)]
    power = (jnp.square(spectrum.real) + jnp.square(spectrum.imag)) @ weights
    return jnp.moveaxis(jnp.sqrt(power).reshape(batch, channels, count, -1), 1, 3)


def strides_beside(stride: int, window: int) -> int:
    """Frames on each side of its own that the window of (2) reaches into."""
    return max(0, -((stride - window) // (2 * stride)))


def sound(level: jax.Array, pitches: Pitches, stride: int, start: jax.Array) -> jax.Array:
    """Equation (3): `[batch, n, pitch, channel] -> [batch, n x stride, channel]`.

    Args:
        level: A, 0 or more.
        pitches: (1).
        stride: s.
        start: [batch] int32, frames that have passed by the clock before the first.
    """
    batch, count, _, channels = level.shape
    turns = pitches.hz * stride / SAMPLE_RATE
    per_frame = np.round(turns % 1 * 2**32).astype(np.uint64).astype(np.uint32)
    frame = start[:, None].astype(jnp.uint32) + jnp.arange(count, dtype=jnp.uint32)
    clock = frame[:, :, None] * per_frame  # [batch, n, pitch], modulo 2^32
    angle = clock.astype(jnp.float32) * np.float32(2 * np.pi / 2**32)
    # [batch, channel, n, both and pitch]
    by_channel = jnp.moveaxis(level, 3, 1)
    waves = jnp.concatenate(
        [by_channel * jnp.cos(angle)[:, None], by_channel * -jnp.sin(angle)[:, None]], axis=-1
    )
    frames = waves @ _synthesis(pitches, stride)
    y = framing.overlap_add(frames.reshape(batch * channels, count, 2 * stride, 1))
    return jnp.moveaxis(y.reshape(batch, channels, -1), 1, 2)


@functools.cache
def _weights(pitches: Pitches, window: int) -> np.ndarray:
    """T of (2): float32 [bin, pitch], up to the last bin that counts."""
    bin_hz = SAMPLE_RATE / window
    apart = np.maximum(pitches.hz * (2 ** (1 / pitches.per_octave) - 1), bin_hz)
    bins = bin_hz * np.arange(window // 2 + 1)[:, None]
    weights = np.maximum(0, 1 - np.abs(bins - pitches.hz) / apart)
    weights = 2 / 3 * weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    return weights[: weights.any(axis=1).nonzero()[0][-1] + 1].astype(np.float32)


@functools.cache
def _synthesis(pitches: Pitches, stride: int) -> np.ndarray:
    """h and the turning within a frame of (3): float32 [cosine or sine and pitch, sample]."""
    n = np.arange(2 * stride)
    window = np.sin(np.pi * (n + 0.5) / (2 * stride)) ** 2
    turns = pitches.hz[:, None] * n / SAMPLE_RATE
    turns = turns + (np.arange(len(pitches.hz)) * GOLDEN % 1)[:, None]
    waves = [np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)]
    return (window * np.concatenate(waves)).astype(np.float32)
