"""What the decoded sound is held to, in frequency and in time (`training.adversary`: by listeners).

Let X and Y be the short-time Fourier transforms (`models.spectrum`) of the original x and of the
decoded y in windows of `size` samples; M a mel filterbank of size / 16 bands, each a weighted mean
of bins; e the floor, the magnitude below which all counts as silence.

(1) log mel          mean |log(M|X|^2 + e^2) - log(M|Y|^2 + e^2)| / 2
(2) log magnitude    mean |log(|X|^2 + e^2) - log(|Y|^2 + e^2)| / 2
(3) level            mean |log(mean x^2 + e^2) - log(mean y^2 + e^2)| / 2,  a mean for each example
(4) waveform         mean |x - y| / (mean |x| + e)
(5) tones            mean |log(a + e) - log(A + e)|,  a the level of each pitch in x and A what the
                     decoder's oscillators were told, its mean over the latent frame

(1) and (2) are averaged over the sizes (a long window resolves pitch, a short one onsets) and over
four views, which (3) has as well: left and right, and mid = (left + right) / sqrt 2 and side =
(left - right) / sqrt 2, since a decoder that is right in each ear alone may still lose the stereo
image. The transform is linear, so only left and right are transformed. On a small machine the
transforms cost more than the network: with `in_turn` step s takes one size alone, s modulo their
number, whose mean over the steps is the same.

(1) weighs bands as an ear does, (2) asks for single partials. Both leave the whole too quiet: what
is hard to guess is best guessed at its median, and the peaks, which make the power, are far above
it. (3) asks for that power. (4) alone knows the phase, which the latents can carry in the bass.

(5) teaches which notes sound directly: through the sound, by (1) and (2), the oscillators
(`models.tones`) learn it only once the rest of the decoder leaves room for them.

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
from jen1composer.models.spectrum import stft_parts
from jen1composer.tracks import SAMPLE_RATE


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderLossConfig:
    sizes: tuple[int, ...] = (2048, 512, 128)  # samples in a window
    in_turn: bool = False  # one of the sizes a step, rather than all
    floor: float = 1e-3  # e, -60 dB of full scale

    # weights
    log_mel: float = 1.0
    log_magnitude: float = 0.3
    level: float = 0.0
    waveform: float = 0.1
    tones: float = 0.0  # for an autoencoder that has them

    def __post_init__(self) -> None:
        whole = all(isinstance(n, int) and n >= 16 and n % 16 == 0 for n in self.sizes)
        allowed = 'are one or more whole numbers, multiples of 16'
        require(len(self.sizes) > 0 and whole, 'losses.sizes', self.sizes, allowed)
        require(0 < self.floor < math.inf, 'losses.floor', self.floor, 'is more than 0')
        for name in ('log_mel', 'log_magnitude', 'level', 'waveform', 'tones'):
            value = getattr(self, name)
            require(0 <= value < math.inf, f'losses.{name}', value, 'is 0 or more')


def reconstruction_loss(
    original: jax.Array, decoded: jax.Array, config: AutoencoderLossConfig, step: jax.Array
) -> tuple[jax.Array, Mapping[str, jax.Array]]:
    """The weighted sum of (1) to (4), and each of them unweighted by name; (5) is `tone_distance`.

    Args:
        original: `[batch, sample, 2]`, left and right.
        decoded: the same shape.
        config: weights, window sizes and floor.
        step: [] int32, chooses the size where they take turns.
    """
    by_size = [functools.partial(_spectral_terms, size, config.floor) for size in config.sizes]
    if config.in_turn:
        # A branch that is not taken must not keep what its gradient would need: checkpoint.
        branches = [jax.checkpoint(branch) for branch in by_size]
        terms = jax.lax.switch(step % len(branches), branches, original, decoded)
    else:
        every = [terms_of(original, decoded) for terms_of in by_size]
        terms = jax.tree.map(lambda *sizes: sum(sizes) / len(sizes), *every)
    # [batch, view]
    true, ours = (power(views(jnp.moveaxis(x, 2, 1))).mean(-1) for x in (original, decoded))
    loudness = jnp.mean(jnp.abs(original)) + config.floor
    terms['level'] = log_distance(true, ours, config.floor)
    terms['waveform'] = jnp.mean(jnp.abs(original - decoded)) / loudness
    loss = sum((getattr(config, name) * term for name, term in terms.items()), start=jnp.zeros(()))
    return loss, terms


def tone_distance(measured: jax.Array, told: jax.Array, floor: float) -> jax.Array:
    """Equation (5): `[batch, frame, pitch, 2]` and `[batch, several frames in one, pitch, 2]`."""
    batch, frames, *rest = measured.shape
    told = told.reshape(batch, frames, -1, *rest).mean(axis=2)
    return jnp.mean(jnp.abs(jnp.log(measured + floor) - jnp.log(told + floor)))


def _spectral_terms(
    size: int, floor: float, original: jax.Array, decoded: jax.Array
) -> dict[str, jax.Array]:
    """(1) and (2) of one size."""
    bands = mel_bands(size)
    log_mel, log_magnitude = [], []
    # View by view: side by side in one array they are a copy that a CPU takes long to fill.
    for true, ours in zip(_view_powers(original, size), _view_powers(decoded, size), strict=True):
        log_mel.append(log_distance(true @ bands, ours @ bands, floor))
        log_magnitude.append(log_distance(true, ours, floor))
    return {'log_mel': _mean(log_mel), 'log_magnitude': _mean(log_magnitude)}


def _view_powers(x: jax.Array, size: int) -> list[jax.Array]:
    """|X|^2 of each view, `[batch, frame, bin]`."""
    by_part = [_four_views(part[:, 0], part[:, 1]) for part in stft_parts(x, size)]
    return [jnp.square(real) + jnp.square(imag) for real, imag in zip(*by_part, strict=True)]


def _mean(terms: list[jax.Array]) -> jax.Array:
    return sum(terms, start=jnp.zeros(())) / len(terms)


def log_distance(true: jax.Array, ours: jax.Array, floor: float) -> jax.Array:
    """Mean difference of log magnitudes, given powers of one shape."""
    return jnp.mean(jnp.abs(jnp.log(true + floor**2) - jnp.log(ours + floor**2))) / 2


def views(x: jax.Array) -> jax.Array:
    """`[batch, 2, ...]`, left and right -> `[batch, 4, ...]`, and mid and side."""
    return jnp.stack(_four_views(x[:, 0], x[:, 1]), axis=1)


def _four_views(left: jax.Array, right: jax.Array) -> list[jax.Array]:
    half = np.float32(np.sqrt(0.5))
    return [left, right, (left + right) * half, (left - right) * half]


def power(x: jax.Array) -> jax.Array:
    """|x|^2 of what is real or complex."""
    return jnp.square(x.real) + jnp.square(x.imag)


@functools.cache
def mel_bands(size: int) -> np.ndarray:
    """M: float32 `[bin, band]`, columns sum to 1."""
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=size, n_mels=size // 16)
    return (bank / bank.sum(axis=1, keepdims=True)).T.astype(np.float32)
