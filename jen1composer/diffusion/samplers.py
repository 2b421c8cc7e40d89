"""Sampling with one time per track.

A step takes every track from its own t_now to its own t_next <= t_now. Given tracks stay at 0 and
marginalised ones at 1: a track that does not move is returned bit for bit, and is masked before any
division, because log-SNR is infinite at both ends. What a solver remembers it keeps per row and
track, from the last step in which that track moved, and fresh noise is handed to it, so rows at
different steps of different requests, or waiting, can share a batch. The solvers are in `solvers`.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from jen1composer.diffusion.schedule import Schedule
from jen1composer.tracks import Role

# (x [batch, track, frame, channel], t [batch, track]) -> estimate of x_0, shaped as x
Denoiser = Callable[[jax.Array, jax.Array], jax.Array]

# step number -> standard normal [batch, track, frame, channel]
NoiseAt = Callable[[jax.Array], jax.Array]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class SolverState:
    """What the last step in which a track moved left behind, per row and track."""

    x0: jax.Array  # [batch, track, frame, channel], the estimate of x_0 then
    log_ratio: jax.Array  # [batch, track], lambda then; -inf where there was no step


class Stepper(Protocol):
    """One step of a solver."""

    @property
    def schedule(self) -> Schedule: ...

    def step(
        self,
        denoise: Denoiser,
        x: jax.Array,
        state: SolverState,
        t_now: jax.Array,
        t_next: jax.Array,
        noise: jax.Array | None,
    ) -> tuple[jax.Array, SolverState]: ...


def initial_solver_state(x: jax.Array) -> SolverState:
    """No step before: the first one is of first order."""
    return SolverState(x0=jnp.zeros_like(x), log_ratio=jnp.full(x.shape[:2], -jnp.inf, x.dtype))


def time_grid(roles: jax.Array, num_steps: int, t_max: float = 1.0) -> jax.Array:
    """Evenly spaced times `[num_steps + 1, batch, track]` from t_max down to 0 for targets.

    Given tracks stand at 0 and marginalised ones at 1 throughout.
    """
    t = jnp.linspace(t_max, 0.0, num_steps + 1)[:, None, None]
    held = jnp.where(roles == Role.CONDITION, 0.0, 1.0)
    return jnp.where(roles == Role.TARGET, t, held)


def sample(
    denoise: Denoiser,
    x: jax.Array,
    times: jax.Array,
    stepper: Stepper,
    noise_at: NoiseAt | None = None,
) -> jax.Array:
    """Runs `stepper` through `times`.

    Args:
        denoise: the estimate of x_0 at (x, t).
        x: [batch, track, frame, channel]; noise for targets and marginal tracks, clean latents for
            given ones (what `corrupt` makes at the first times).
        times: [step + 1, batch, track], falling or standing along the first axis.
        stepper: the solver.
        noise_at: the noise that a stochastic solver adds in each step; the others do without.

    Returns:
        x at the last times: targets generated, the other tracks as they came.
    """

    def one(
        carry: tuple[jax.Array, SolverState], now: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, SolverState], None]:
        x, state = carry
        step, t_now, t_next = now
        noise = None if noise_at is None else noise_at(step)
        return stepper.step(denoise, x, state, t_now, t_next, noise), None

    steps = (jnp.arange(len(times) - 1), times[:-1], times[1:])
    (x, _), _ = jax.lax.scan(one, (x, initial_solver_state(x)), steps)
    return x
