"""Samplers with one time per track.

A step takes every track from its own t_now to its own t_next <= t_now. Given tracks stay at 0 and
marginalised ones at 1: a track that does not move is returned bit for bit, and is masked before any
division, because log-SNR is infinite at both ends. What a solver remembers it keeps per row and
track, from the last step in which that track moved, so rows at different steps of different
requests, or waiting, can share a batch.

With alpha, sigma, lambda = log(alpha / sigma) at `s` (now) and `n` (next), and the denoiser's
estimate D of x_0 at now, both solvers are

(1) x_n = (sigma_n / sigma_s) x_s + (alpha_n - alpha_s sigma_n / sigma_s) D'

(2) DDIM              D' = D                                             (arXiv 2010.02502, eta = 0)
(3) DPM-Solver++ 2M   D' = D + (h / 2 h_p) (D - D_p),                    (arXiv 2211.01095)
                      h = lambda_n - lambda_s,  h_p = lambda_s - lambda_p

where `p` is the time one step before. (1) is finite at both ends: sigma_s = 1 at t = 1, and
x_n = D' at t = 0. (3) falls back to (2) where h or h_p is infinite: in the first two steps and the
last.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from jen1composer.diffusion.schedule import Schedule, log_alpha_over_sigma, over_latents
from jen1composer.tracks import Role

# (x [batch, track, frame, channel], t [batch, track]) -> estimate of x_0, shaped as x
Denoiser = Callable[[jax.Array, jax.Array], jax.Array]


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
    ) -> tuple[jax.Array, SolverState]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDIM:
    """Equation (2): first order, deterministic."""

    schedule: Schedule

    def step(
        self,
        denoise: Denoiser,
        x: jax.Array,
        state: SolverState,
        t_now: jax.Array,
        t_next: jax.Array,
    ) -> tuple[jax.Array, SolverState]:
        """Takes x from `t_now` to `t_next`, each [batch, track]."""
        return _advance(self.schedule, denoise, x, state, t_now, t_next, second_order=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPMSolverPP2M:
    """Equation (3): second order from one evaluation a step, deterministic."""

    schedule: Schedule

    def step(
        self,
        denoise: Denoiser,
        x: jax.Array,
        state: SolverState,
        t_now: jax.Array,
        t_next: jax.Array,
    ) -> tuple[jax.Array, SolverState]:
        """Takes x from `t_now` to `t_next`, each [batch, track]."""
        return _advance(self.schedule, denoise, x, state, t_now, t_next, second_order=True)


def initial_solver_state(x: jax.Array) -> SolverState:
    """No step before: the first one is of first order."""
    return SolverState(x0=jnp.zeros_like(x), log_ratio=jnp.full(x.shape[:2], -jnp.inf))


def time_grid(roles: jax.Array, num_steps: int, t_max: float = 1.0) -> jax.Array:
    """Evenly spaced times `[num_steps + 1, batch, track]` from t_max down to 0 for targets.

    Given tracks stand at 0 and marginalised ones at 1 throughout.
    """
    t = jnp.linspace(t_max, 0.0, num_steps + 1)[:, None, None]
    held = jnp.where(roles == Role.CONDITION, 0.0, 1.0)
    return jnp.where(roles == Role.TARGET, t, held)


def sample(denoise: Denoiser, x: jax.Array, times: jax.Array, stepper: Stepper) -> jax.Array:
    """Runs `stepper` through `times`.

    Args:
        denoise: the estimate of x_0 at (x, t).
        x: [batch, track, frame, channel]; noise for targets and marginal tracks, clean latents for
            given ones (what `corrupt` makes at the first times).
        times: [step + 1, batch, track], falling or standing along the first axis.
        stepper: the solver.

    Returns:
        x at the last times: targets generated, the other tracks as they came.
    """

    def one(
        carry: tuple[jax.Array, SolverState], pair: tuple[jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, SolverState], None]:
        x, state = carry
        return stepper.step(denoise, x, state, *pair), None

    (x, _), _ = jax.lax.scan(one, (x, initial_solver_state(x)), (times[:-1], times[1:]))
    return x


def _advance(
    schedule: Schedule,
    denoise: Denoiser,
    x: jax.Array,
    state: SolverState,
    t_now: jax.Array,
    t_next: jax.Array,
    *,
    second_order: bool,
) -> tuple[jax.Array, SolverState]:
    moves = t_next < t_now  # [batch, track]
    alpha_s, sigma_s = schedule.alpha_sigma(t_now)
    alpha_n, sigma_n = schedule.alpha_sigma(t_next)
    log_s = log_alpha_over_sigma(alpha_s, sigma_s)
    log_n = log_alpha_over_sigma(alpha_n, sigma_n)

    x0 = denoise(x, t_now)  # [batch, track, frame, channel]
    estimate = x0
    if second_order:  # equation (3)
        h, h_previous = log_n - log_s, log_s - state.log_ratio
        usable = moves & jnp.isfinite(h) & jnp.isfinite(h_previous)
        ratio = jnp.where(usable, h, 0.0) / jnp.where(usable, 2 * h_previous, 1.0)
        estimate = x0 + over_latents(ratio) * (x0 - state.x0)

    shrink = jnp.where(moves, sigma_n, 0.0) / jnp.where(moves, sigma_s, 1.0)
    moved = over_latents(shrink) * x + over_latents(alpha_n - alpha_s * shrink) * estimate  # (1)
    return jnp.where(over_latents(moves), moved, x), SolverState(
        x0=jnp.where(over_latents(moves), x0, state.x0),
        log_ratio=jnp.where(moves, log_s, state.log_ratio),
    )
