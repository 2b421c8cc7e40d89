"""One compiled step over a fixed number of slots, whoever sits in them.

A slot is one row of the network's batch. A request's row takes a slot for itself, its home, and one
more for each branch of its guidance, in which the prompt, tempo with key and chords, or one given
track is left out. With h(s)
the home of slot s, b(s, i) the slot of its branch i, or h(s) where it has none, and F the network's
estimate of x_0 in all slots at once,

(1) x_s = corrupt(clean_s, noise_s) at its first times, at step 0 of the row, else x_h(s)
(2) in the slot of a branch, the prompt is the learned null, tempo, key and chords are unknown, or a
    given track is marginal
(3) D_s = full + sum_i (scale_i - 1) (full - F_b(s, i)),   full = F_h(s)      (`guidance.combine`)
(4) x_s goes a step of the solver with D_s, from its own times to its own next ones

(3) is exact: a branch that a row does not have contributes scale x (full - full) = 0. So one
program serves every combination of branches, and a row pays for those it has. A program for each of
the 32 combinations would compile 32 times and share no batch, and to evaluate all branches for
every row would cost six times as much.

No row reads another's slots, and the shapes are fixed: what a row becomes does not depend on who
else is there. A solver with two evaluations (Heun) takes both inside the step.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Array, Task, Text
from jen1composer.diffusion.corruption import corrupt, is_shown, shown_latents
from jen1composer.diffusion.guidance import Guidance, combine
from jen1composer.diffusion.randomness import step_noise
from jen1composer.diffusion.samplers import SolverState, Stepper, initial_solver_state
from jen1composer.generation.sampling import window_noise
from jen1composer.models.unet import UNet
from jen1composer.tracks import Role
from jen1composer.training.composer_step import DiffusionConfig, make_estimator, make_predictor


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Seated:
    """What the slots are told for as long as nobody comes or goes."""

    clean: Array  # [slot, track, frame, channel]
    task: Task
    text: Text  # use_prompt is False in the slot of a branch without it; control likewise unknown
    seed: Array  # [slot] uint32
    window: Array  # [slot] uint32
    guidance: Guidance
    num_steps: Array  # [slot] uint32, of the row
    home: Array  # [slot] int32, h
    branch: Array  # [slot, 2 + track] int32, b: without the prompt, control, then each track
    dropped: Array  # [slot, track] bool, the given track that the slot leaves out


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Now:
    """Where every slot stands."""

    number: Array  # [slot] uint32, of the step in its row
    t_now: Array  # [slot, track]
    t_next: Array  # [slot, track]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """What goes from step to step."""

    x: Array  # [slot, track, frame, channel]
    solver: SolverState

    @staticmethod
    def empty(shape: tuple[int, ...]) -> 'State':
        x = jnp.zeros(shape)
        return State(x=x, solver=initial_solver_state(x))


@functools.partial(jax.jit, static_argnames=('model', 'diffusion', 'stepper'))
def step(
    params: Any,
    state: State,
    seated: Seated,
    now: Now,
    *,
    model: UNet,
    diffusion: DiffusionConfig,
    stepper: Stepper,
) -> State:
    """The state after one step of every slot; compiled once for a solver and a number of slots."""
    clean, home, task = seated.clean, seated.home, seated.task
    noise = window_noise(seated.seed, seated.window, clean.shape[1:])

    begins = now.number == 0  # (1)
    from_noise = now.t_now >= diffusion.prediction.t_max(diffusion.schedule)
    first = corrupt(clean, noise, jnp.where(from_noise, 1.0, now.t_now), diffusion.schedule)
    x = jnp.where(begins[:, None, None, None], first, state.x)
    fresh = initial_solver_state(x)
    solver = SolverState(
        x0=jnp.where(begins[:, None, None, None], fresh.x0, state.solver.x0),
        log_ratio=jnp.where(begins[:, None], fresh.log_ratio, state.solver.log_ratio),
    )

    roles = jnp.where(seated.dropped, int(Role.MARGINAL), task.roles)  # (2)
    asked = dataclasses.replace(task, roles=roles)
    shown, visible = shown_latents(clean, task), is_shown(task)
    estimate = make_estimator(make_predictor(model, params), diffusion)
    guidance = seated.guidance
    scales = [guidance.text, guidance.control, *jnp.moveaxis(jnp.asarray(guidance.given), 1, 0)]

    def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
        x = jnp.where(seated.dropped[..., None, None], noise, x[home])
        at = jnp.where(seated.dropped, 1.0, t)
        every = estimate(x, at, shown, asked, seated.text)
        without = [every[seated.branch[:, i]] for i in range(len(scales))]
        guided = combine(every[home], without, scales, t, task, guidance)  # (3)
        return jnp.where(visible, shown, guided)

    number = seated.window * seated.num_steps + now.number
    fresh_noise = step_noise(seated.seed, number, clean.shape[1:])
    x, solver = stepper.step(denoise, x, solver, now.t_now, now.t_next, fresh_noise)  # (4)
    return State(x=x, solver=solver)
