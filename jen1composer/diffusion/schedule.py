"""Noise schedules: how much signal and noise a track holds at its time.

Time t runs from 0, exactly clean, to 1, exactly noise:

(1) x_t = alpha(t) x_0 + sigma(t) epsilon,   alpha(0) = sigma(1) = 1,  sigma(0) = alpha(1) = 0
(2) cosine:          alpha = cos(pi t / 2),  sigma = sin(pi t / 2)
    (Nichol and Dhariwal, arXiv 2102.09672, without the offset)
(3) linear beta:     a_n = product over i <= n of sqrt(1 - beta_i),  n = 1 .. 1000, beta even from
    1e-4 to .02 (DDPM, arXiv 2006.11239), shifted and stretched so that a_1000 is zero and a_1 what
    it was (arXiv 2305.08891).  alpha = cos(phi), sigma = sin(phi), where phi(n / 1000) =
    arccos(a_n), phi(0) = 0 and straight lines between
(4) rectified flow:  alpha = 1 - t,  sigma = t  (arXiv 2209.03003)
(5) lambda(t) = log(alpha / sigma), half the log signal-to-noise ratio: +inf at 0, -inf at 1

(2) and (3) preserve the variance, alpha^2 + sigma^2 = 1. The ends are pinned: in float32
cos(pi / 2) is -4.4e-8, and a condition that is slightly noisy or a marginalised track that tells a
little are both wrong.
"""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.named import make_named


class Schedule(Protocol):
    """A schedule maps times of any shape to (alpha, sigma) of that shape."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]: ...

    def time_at(self, alpha: float) -> float:
        """The time at which alpha, in [0, 1], has fallen to this: the inverse of `alpha_sigma`."""
        ...


@dataclasses.dataclass(frozen=True)
class CosineSchedule:
    """Equation (2), ends pinned."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _of_angle(t, 0.5 * jnp.pi * t)

    def time_at(self, alpha: float) -> float:
        return float(np.arccos(alpha)) * 2 / np.pi


@dataclasses.dataclass(frozen=True)
class LinearBetaSchedule:
    """Equation (3), ends pinned; exact at the thousand discrete times and defined on all others."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        angles = jnp.asarray(self._angles(), t.dtype)
        return _of_angle(t, jnp.interp(t, jnp.linspace(0, 1, len(angles), dtype=t.dtype), angles))

    def time_at(self, alpha: float) -> float:
        angles = self._angles()
        return float(np.interp(np.arccos(alpha), angles, np.linspace(0, 1, len(angles))))

    def _angles(self) -> np.ndarray:
        """phi(n / 1000) for n = 0 .. 1000."""
        alphas = np.sqrt(np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)))  # a_1 .. a_1000
        alphas = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
        return np.concatenate([[0.0], np.arccos(alphas)])


@dataclasses.dataclass(frozen=True)
class RectifiedFlowSchedule:
    """Equation (4): straight lines from data to noise; the variance dips to a half between."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        sigma = jnp.clip(t, 0, 1)
        return 1 - sigma, sigma

    def time_at(self, alpha: float) -> float:
        return 1 - alpha


SCHEDULES: dict[str, type[Schedule]] = {
    'cosine': CosineSchedule,
    'linear_beta': LinearBetaSchedule,
    'rectified_flow': RectifiedFlowSchedule,
}


def make_schedule(name: str) -> Schedule:
    """The schedule of that name; raises BadInput with the names there are."""
    return make_named('schedule', SCHEDULES, name, {})


def pin(t: jax.Array, *, at_zero: float, inside: jax.Array, at_one: float) -> jax.Array:
    """`inside` on the open interval (0, 1), and the given constants at and beyond its ends."""
    return jnp.where(t <= 0, at_zero, jnp.where(t >= 1, at_one, inside))


def log_alpha_over_sigma(alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Equation (5); +inf where sigma is 0 and -inf where alpha is 0."""
    inside = (alpha > 0) & (sigma > 0)
    ratio = jnp.where(inside, alpha, 1.0) / jnp.where(inside, sigma, 1.0)
    return jnp.where(inside, jnp.log(ratio), jnp.where(alpha > 0, jnp.inf, -jnp.inf))


def over_latents(value: jax.Array) -> jax.Array:
    """`[batch, track] -> [batch, track, 1, 1]`, to be multiplied with latents."""
    return value[..., None, None]


def _of_angle(t: jax.Array, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    alpha = pin(t, at_zero=1.0, inside=jnp.cos(angle), at_one=0.0)
    sigma = pin(t, at_zero=0.0, inside=jnp.sin(angle), at_one=1.0)
    return alpha, sigma
