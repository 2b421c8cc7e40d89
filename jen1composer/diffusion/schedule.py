"""Noise schedules: how much signal and noise a track holds at its time.

Time t runs from 0, exactly clean, to 1, exactly noise:

(1) x_t = alpha(t) x_0 + sigma(t) epsilon,   alpha(0) = sigma(1) = 1,  sigma(0) = alpha(1) = 0
(2) cosine:  alpha(t) = cos(pi t / 2),  sigma(t) = sin(pi t / 2),  so alpha^2 + sigma^2 = 1
    (Nichol and Dhariwal, arXiv 2102.09672, without the offset)
(3) lambda(t) = log(alpha / sigma), half the log signal-to-noise ratio: +inf at 0, -inf at 1

The ends are pinned: in float32 cos(pi / 2) is -4.4e-8, and a condition that is slightly noisy or a
marginalised track that tells a little are both wrong.
"""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp


class Schedule(Protocol):
    """A schedule maps times of any shape to (alpha, sigma) of that shape."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]: ...


@dataclasses.dataclass(frozen=True)
class CosineSchedule:
    """Equation (2), variance preserving, ends pinned."""

    def alpha_sigma(self, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        angle = 0.5 * jnp.pi * t
        alpha = pin(t, at_zero=1.0, inside=jnp.cos(angle), at_one=0.0)
        sigma = pin(t, at_zero=0.0, inside=jnp.sin(angle), at_one=1.0)
        return alpha, sigma


def pin(t: jax.Array, *, at_zero: float, inside: jax.Array, at_one: float) -> jax.Array:
    """`inside` on the open interval (0, 1), and the given constants at and beyond its ends."""
    return jnp.where(t <= 0, at_zero, jnp.where(t >= 1, at_one, inside))


def log_alpha_over_sigma(alpha: jax.Array, sigma: jax.Array) -> jax.Array:
    """Equation (3); +inf where sigma is 0 and -inf where alpha is 0."""
    inside = (alpha > 0) & (sigma > 0)
    ratio = jnp.where(inside, alpha, 1.0) / jnp.where(inside, sigma, 1.0)
    return jnp.where(inside, jnp.log(ratio), jnp.where(alpha > 0, jnp.inf, -jnp.inf))


def over_latents(value: jax.Array) -> jax.Array:
    """`[batch, track] -> [batch, track, 1, 1]`, to be multiplied with latents."""
    return value[..., None, None]
