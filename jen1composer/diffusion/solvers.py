"""The solvers: one formula, and the estimate of x_0 and the fresh noise that are put into it.

With alpha and sigma at `s` (now) and `n` (next), lambda = log(alpha / sigma), h = lambda_n -
lambda_s > 0, r = exp(-h) = alpha_s sigma_n / (alpha_n sigma_s), standard normal noise z and D, the
denoiser's estimate of x_0 at now,

(1) x_n = alpha_n D' + k (x_s - alpha_s D') + w z
    w = eta sigma_n sqrt(1 - r^2),    k = sqrt(sigma_n^2 - w^2) / sigma_s

    solver                eta      D'
(2) DDIM                  0 .. 1   D                         (arXiv 2010.02502)
(3) DDPM                  1        D                         (arXiv 2006.11239)
(4) Euler                 0        D
(5) Heun                  0        D + (D_n - D) / 2 r       (arXiv 2206.00364)
(6) DPM-Solver++ 2M       0        D + (D - D_p) h / 2 h_p   (arXiv 2211.01095)
(7) SDE-DPM-Solver++ 2M   1        as in (6)                 (arXiv 2211.01095)

D_n is the estimate at next, where (1) with D' = D arrives; D_p that of one step before, which had
the length h_p in lambda.

Why (3): at eta = 1, w^2 is the variance of q(x_n | x_s, x_0), under every schedule, so (1) draws
from that posterior at x_0 = D; it is the first-order SDE-DPM-Solver++ as well.
Why (4): with y = x / alpha and u = sigma / alpha the probability flow is dy / du = (y - D) / u, and
its Euler step is (1) at eta = 0, DDIM by another name. Under rectified flow it is the Euler step of
dx / dt too.
Why (5): the Heun step of the same equation, the mean of the slopes at both ends of its Euler step,
is (1) with this D'.

(1) is finite wherever a track moves: sigma_s > 0 and alpha_n > 0, and x_n = D' at t = 0. From t = 1
and to t = 0, where h is infinite, (5) to (7) take D' = D; (6) and (7) also where h_p is.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jen1composer.diffusion.named import make_named
from jen1composer.diffusion.samplers import Denoiser, SolverState, Stepper
from jen1composer.diffusion.schedule import Schedule, log_alpha_over_sigma, over_latents
from jen1composer.errors import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """Every track's way from `s` to `n`; all [batch, track]. Ones stand where it does not move."""

    moves: jax.Array  # bool
    alpha_s: jax.Array
    sigma_s: jax.Array
    alpha_n: jax.Array
    sigma_n: jax.Array

    @staticmethod
    def between(schedule: Schedule, t_now: jax.Array, t_next: jax.Array) -> 'Move':
        moves = t_next < t_now
        ends = (*schedule.alpha_sigma(t_now), *schedule.alpha_sigma(t_next))
        alpha_s, sigma_s, alpha_n, sigma_n = (jnp.where(moves, end, 1.0) for end in ends)
        return Move(moves=moves, alpha_s=alpha_s, sigma_s=sigma_s, alpha_n=alpha_n, sigma_n=sigma_n)

    @property
    def log_ratio_s(self) -> jax.Array:
        return log_alpha_over_sigma(self.alpha_s, self.sigma_s)

    @property
    def log_ratio_n(self) -> jax.Array:
        return log_alpha_over_sigma(self.alpha_n, self.sigma_n)

    @property
    def shrink(self) -> jax.Array:
        """r, in [0, 1]: how much of the ratio of noise to signal is left; 0 where h is infinite."""
        return self.alpha_s * self.sigma_n / (self.alpha_n * self.sigma_s)

    def arrive(
        self, x: jax.Array, estimate: jax.Array, eta: float = 0.0, noise: jax.Array | None = None
    ) -> jax.Array:
        """Equation (1) where a track moves, `x` elsewhere; `noise` is used where eta > 0."""
        forgotten = eta**2 * jnp.maximum(1 - self.shrink**2, 0.0)  # w^2 / sigma_n^2
        kept = self.sigma_n / self.sigma_s * jnp.sqrt(1 - forgotten)  # k
        moved = over_latents(kept) * x
        moved = moved + over_latents(self.alpha_n - self.alpha_s * kept) * estimate
        if eta:
            if noise is None:
                raise ValueError('a sampler with eta > 0 adds noise and was handed none')
            moved = moved + over_latents(self.sigma_n * jnp.sqrt(forgotten)) * noise
        return jnp.where(over_latents(self.moves), moved, x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDIM:
    """Equation (2): first order; deterministic at eta = 0."""

    schedule: Schedule
    eta: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.eta <= 1, 'sampler eta', self.eta, 'is 0 to 1')

    def step(
        self,
        denoise: Denoiser,
        x: jax.Array,
        state: SolverState,
        t_now: jax.Array,
        t_next: jax.Array,
        noise: jax.Array | None = None,
    ) -> tuple[jax.Array, SolverState]:
        """Takes x from `t_now` to `t_next`, each [batch, track].

        `noise` is standard normal, shaped as x, another one in each step; None will do at eta = 0.
        """
        move = Move.between(self.schedule, t_now, t_next)
        x0 = denoise(x, t_now)  # [batch, track, frame, channel]

        def ahead() -> jax.Array:
            return denoise(move.arrive(x, x0), t_next)

        estimate = self.estimate(move, x0, state, ahead)
        return move.arrive(x, estimate, self.eta, noise), SolverState(
            x0=jnp.where(over_latents(move.moves), x0, state.x0),
            log_ratio=jnp.where(move.moves, move.log_ratio_s, state.log_ratio),
        )

    def estimate(
        self, move: Move, x0: jax.Array, state: SolverState, ahead: Callable[[], jax.Array]
    ) -> jax.Array:
        """D' of (1) from D = `x0`, the step before in `state`, and D_n, which `ahead` evaluates."""
        del move, state, ahead
        return x0


@dataclasses.dataclass(frozen=True, kw_only=True)
class DDPM(DDIM):
    """Equation (3): ancestral sampling, with the variance of the true posterior (fixed, small)."""

    eta: float = dataclasses.field(default=1.0, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Euler(DDIM):
    """Equation (4)."""

    eta: float = dataclasses.field(default=0.0, init=False)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heun(Euler):
    """Equation (5): second order from two evaluations a step, deterministic."""

    def estimate(
        self, move: Move, x0: jax.Array, state: SolverState, ahead: Callable[[], jax.Array]
    ) -> jax.Array:
        usable = move.moves & (move.shrink > 0)
        weight = 0.5 / jnp.where(usable, move.shrink, 1.0)
        return jnp.where(over_latents(usable), x0 + over_latents(weight) * (ahead() - x0), x0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DPMSolverPP2M(Euler):
    """Equation (6): second order from one evaluation a step, deterministic."""

    def estimate(
        self, move: Move, x0: jax.Array, state: SolverState, ahead: Callable[[], jax.Array]
    ) -> jax.Array:
        h = move.log_ratio_n - move.log_ratio_s
        h_previous = move.log_ratio_s - state.log_ratio
        usable = move.moves & jnp.isfinite(h) & jnp.isfinite(h_previous)
        weight = jnp.where(usable, h, 0.0) / jnp.where(usable, 2 * h_previous, 1.0)
        return x0 + over_latents(weight) * (x0 - state.x0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SDEDPMSolverPP2M(DPMSolverPP2M):
    """Equation (7): (6) on the reverse SDE, one evaluation a step."""

    eta: float = dataclasses.field(default=1.0, init=False)


SAMPLERS: dict[str, type[DDIM]] = {
    'ddpm': DDPM,
    'ddim': DDIM,
    'euler': Euler,
    'heun': Heun,
    'dpmpp_2m': DPMSolverPP2M,
    'dpmpp_2m_sde': SDEDPMSolverPP2M,
}


def make_sampler(name: str, schedule: Schedule, parameters: Mapping[str, Any]) -> Stepper:
    """The solver of that name; raises BadInput for a name or parameter that is not there."""
    return make_named('sampler', SAMPLERS, name, parameters, schedule=schedule)
