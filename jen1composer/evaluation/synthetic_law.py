"""A joint law of tracks that is known exactly: what they share, and what each is free to do.

All tracks of a set share z = (key, tempo, pattern); track k, of F frames of 4 channels, besides has
a register u_k of its own, -1 or 1 with equal odds:

(1) p(z) = p(key) p(tempo) p(pattern), as configured, and none of them even
(2) x_k[f] = s m_k(z, u_k)[f] + sigma e_k[f],   e white, s^2 + sigma^2 = 1, and as channels
    m_k(z, u)[f] = (2^.5 cos a, 2^.5 sin a, b[f], u),   a = 2 pi (key + k) / keys
    b[f] = 3^.5 where floor(f / hold) = pattern + k mod 4, else -3^-.5,   hold = 2^tempo

so track k plays the key transposed by k and strikes k beats later: coherent tracks are not copies.
Each channel is white on average. Given z the tracks are independent, and there are few values of
(z, u), so what follows is exact:

(3) p(x_k | z) = mean over u of N(x_k; s m_k(z, u), sigma^2)
(4) p(z | x_k) proportional to p(z) p(x_k | z);   the reading of a track is its mode
(5) A = log sum_z prod_k p(z | x_k)

(5) is the likelihood of agreement: that all tracks have one z, as far as each tells its own. (The
likelihood ratio of a set to strangers has a factor p(z)^(1 - K) in the sum, so that of coherent
sets it prefers the rarest.) Pure numpy: no network here.
"""

import dataclasses
import functools

import numpy as np
from scipy.special import log_softmax, logsumexp

from jen1composer.errors import require

FACTORS = ('key', 'tempo', 'pattern')
CHANNELS = 4
BEATS = 4  # of a bar, and values of the pattern
_REGISTERS = np.array([-1.0, 1.0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sets:
    """Sets of tracks with what they share."""

    z: np.ndarray  # [set, 3], see FACTORS
    x: np.ndarray  # [set, track, frame, 4] float32


@dataclasses.dataclass(frozen=True, kw_only=True)
class SyntheticLaw:
    """Equations (1) to (5); raises BadInput where the numbers are no law."""

    num_tracks: int = 4
    num_frames: int = 16
    noise: float = 0.5  # sigma
    keys: tuple[float, ...] = (0.3, 0.25, 0.2, 0.15, 0.1)
    tempos: tuple[float, ...] = (0.5, 0.3, 0.2)  # beats of 1, 2 and 4 frames
    patterns: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1)  # the beat that is struck

    def __post_init__(self) -> None:
        require(self.num_tracks >= 1, 'law.num_tracks', self.num_tracks, 'is 1 or more')
        require(0 < self.noise < 1, 'law.noise', self.noise, 'is above 0, below 1')
        for name in ('keys', 'tempos', 'patterns'):
            odds = getattr(self, name)
            ok = len(odds) >= 2 and min(odds) > 0 and abs(sum(odds) - 1) < 1e-9
            require(ok, f'law.{name}', odds, 'are two or more odds above 0 that add up to 1')
        require(len(self.patterns) == BEATS, 'law.patterns', self.patterns, f'are {BEATS} odds')
        bar = BEATS * 2 ** (len(self.tempos) - 1)
        require(
            self.num_frames >= bar and self.num_frames % bar == 0,
            'law.num_frames',
            self.num_frames,
            f'are multiples of the slowest bar, {bar}',
        )

    # ---- The law

    @functools.cached_property
    def values(self) -> np.ndarray:
        """All values of z, `[value, 3]`."""
        sizes = (len(self.keys), len(self.tempos), len(self.patterns))
        return np.stack(np.meshgrid(*map(np.arange, sizes), indexing='ij'), -1).reshape(-1, 3)

    @functools.cached_property
    def odds(self) -> np.ndarray:
        """Equation (1), `[value]`."""
        parts = (self.keys, self.tempos, self.patterns)
        return np.prod([np.array(p)[self.values[:, i]] for i, p in enumerate(parts)], axis=0)

    @functools.cached_property
    def means(self) -> np.ndarray:
        """s m of equation (2), `[track, value, register, frame, 4]`."""
        key, tempo, pattern = self.values.T[..., None]  # [value, 1]
        k = np.arange(self.num_tracks)[:, None, None]
        angle = 2 * np.pi * (key + k) / len(self.keys)
        beat = np.arange(self.num_frames) // 2**tempo  # [value, frame]
        struck = beat % BEATS == (pattern + k) % BEATS
        accent = np.where(struck, 3**0.5, -(3**-0.5))  # [track, value, frame]
        shared = [2**0.5 * np.cos(angle), 2**0.5 * np.sin(angle), accent]
        shape = (*accent.shape[:2], len(_REGISTERS), self.num_frames)
        channels = [np.broadcast_to(part[:, :, None], shape) for part in shared]
        channels.append(np.broadcast_to(_REGISTERS[:, None], shape))
        return (1 - self.noise**2) ** 0.5 * np.stack(channels, axis=-1)

    def sample(self, rng: np.random.Generator, count: int) -> Sets:
        """`count` sets of the law."""
        return self._render(rng, np.repeat(self._draw(rng, count, 1), self.num_tracks, axis=1))

    def sample_strangers(self, rng: np.random.Generator, count: int) -> Sets:
        """Sets whose tracks have each its own z, that of the first being called the set's."""
        return self._render(rng, self._draw(rng, count, self.num_tracks))

    def _draw(self, rng: np.random.Generator, count: int, each: int) -> np.ndarray:
        return rng.choice(len(self.odds), size=(count, each), p=self.odds)

    def _render(self, rng: np.random.Generator, value: np.ndarray) -> Sets:
        """Equation (2) of `value` [set, track]."""
        register = rng.integers(len(_REGISTERS), size=value.shape)
        mean = self.means[np.arange(self.num_tracks), value, register]
        x = mean + self.noise * rng.standard_normal(mean.shape)
        return Sets(z=self.values[value[:, 0]], x=x.astype(np.float32))

    # ---- What tracks tell

    def log_posterior(self, x: np.ndarray) -> np.ndarray:
        """Equation (4) of `x` [set, track, frame, 4], each track alone: `[set, track, value]`."""
        flat = np.asarray(x, np.float64).reshape(*x.shape[:2], -1)
        means = self.means.reshape(*self.means.shape[:3], -1)
        # |x - m|^2 without |x|^2, which is the same for all values.
        products = np.einsum('nkd,kvud->nkvu', flat, means)
        squares = np.sum(means**2, axis=-1)
        likelihood = logsumexp((products - squares / 2) / self.noise**2, axis=-1)  # (3)
        return log_softmax(np.log(self.odds) + likelihood, axis=-1)

    def read(self, x: np.ndarray) -> np.ndarray:
        """The likeliest z of each track alone, as numbers into `values`, `[set, track]`."""
        return self.log_posterior(x).argmax(axis=-1)

    def agreement(self, x: np.ndarray) -> np.ndarray:
        """Equation (5) of the tracks in `x` that are not NaN, `[set]`."""
        absent = np.isnan(x).any(axis=(2, 3))[..., None]
        told = np.where(absent, 0.0, self.log_posterior(np.nan_to_num(x)))
        return logsumexp(told.sum(axis=1), axis=-1)
