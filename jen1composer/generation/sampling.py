"""The sampler's run, compiled once for every seed, scale and start.

For row b of a batch, with its seed and its window (a long piece is made of several):

(1) all noise is a function of (seed_b, window_b), that of a stochastic sampler of its step as well,
    and of nothing else: a row is the same in any batch
(2) x at the first times is what `corrupt` makes of the clean latents there: a given track is as it
    is, a marginal one is noise, and so is a target that starts at t_max; one that starts below it,
    at t = s, is a variation of strength s of what it was
(3) the sampler takes the targets from there to t = 0, guided; the other tracks stand still, and a
    visible frame, of which the estimate is what was shown, ends as just that: alpha is 1 at t = 0
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.guidance import Branches, Guidance, guided
from jen1composer.diffusion.randomness import Draw, step_noise, track_noise
from jen1composer.diffusion.samplers import Stepper, sample
from jen1composer.models.unet import UNet
from jen1composer.training.composer_step import (
    DiffusionConfig,
    make_denoiser,
    make_estimator,
    make_predictor,
)


@functools.partial(jax.jit, static_argnames=('model', 'diffusion', 'branches', 'stepper'))
def generate(
    params: Any,
    clean: jax.Array,
    task: Task,
    text: Text,
    seeds: jax.Array,
    windows: jax.Array,
    guidance: Guidance,
    times: jax.Array,
    *,
    model: UNet,
    diffusion: DiffusionConfig,
    branches: Branches,
    stepper: Stepper,
) -> jax.Array:
    """Latents [batch, track, frame, channel] of the targets; the other tracks as they stand.

    Args:
        params: averaged weights.
        clean: [batch, track, frame, channel]: given tracks, visible frames, and what is varied;
            what it holds elsewhere is unused.
        task: roles, visible frames, and which rows are causal.
        text: token states of prompt and prefix.
        seeds, windows: [batch] uint32, the key of a row's noise.
        guidance: scales, one for each row.
        times: [step + 1, batch, track], see `samplers.time_grid`.
        model, diffusion, branches, stepper: static.
    """
    noise = window_noise(seeds, windows, clean.shape[1:])  # (1)
    from_noise = times[0] >= diffusion.prediction.t_max(diffusion.schedule)
    x = corrupt(clean, noise, jnp.where(from_noise, 1.0, times[0]), diffusion.schedule)  # (2)
    estimate = make_estimator(make_predictor(model, params), diffusion)
    estimate = guided(estimate, guidance, branches, noise)
    denoise = make_denoiser(estimate, clean, task, text)
    num_steps = len(times) - 1

    def noise_at(step: jax.Array) -> jax.Array:
        return step_noise(seeds, windows * num_steps + step.astype(jnp.uint32), clean.shape[1:])

    return sample(denoise, x, times, stepper, noise_at)  # (3)


def window_noise(seeds: jax.Array, windows: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Equation (1): `[batch, track, frame, channel]`; `shape` is that of a row."""

    def of_row(seed: jax.Array, window: jax.Array) -> jax.Array:
        return track_noise(seed, window[None], shape, Draw.GENERATION)[0]

    return jax.vmap(of_row)(jnp.asarray(seeds), jnp.asarray(windows))
