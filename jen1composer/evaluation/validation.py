"""Validation losses of a composer on held-out windows.

(1) loss[bin] = mean squared error of the v-prediction over examples and targets at a fixed time t
    in the middle of the bin; a predictor that says 0 scores zero[bin] = mean of v^2, which is 1
    where the latents are white. Below it, something was learnt at that noise level.
(2) conditioning gap = loss with the given tracks of another song minus the loss with the true ones,
    per example, on the same noise. Above 0, the model listens to what it is given.

Everything is keyed by the example's index, so two models are compared on the same noise.
"""

import dataclasses
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.batch import Batch, Task, Text
from jen1composer.diffusion.guidance import Predictor
from jen1composer.diffusion.loss import example_loss
from jen1composer.tracks import Role
from jen1composer.training.composer_step import DiffusionConfig, make_predictor, track_losses
from jen1composer.training.state import PyTree

Interval = tuple[float, float, float]  # mean, and a 95 % interval
LossAt = Callable[[Batch, float], jax.Array]  # loss per example, with all targets at one time


def bin_centres(num_bins: int) -> np.ndarray:
    """Times in the middle of equal bins of (0, 1)."""
    return (np.arange(num_bins) + 0.5) / num_bins


def make_loss_at(
    model: nn.Module, diffusion: DiffusionConfig, seed: int
) -> Callable[[PyTree, Batch, float], jax.Array]:
    """A jitted `(params, batch, time) -> loss per example [batch]`."""

    def loss_at(params: PyTree, batch: Batch, time: float) -> jax.Array:
        return _example_losses(make_predictor(model, params), batch, time, diffusion, seed)

    return jax.jit(loss_at)


def make_zero_loss_at(diffusion: DiffusionConfig, seed: int) -> LossAt:
    """The same for a predictor that always says 0, the baseline of equation (1)."""

    def zero(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        del t, shown, task, text
        return jnp.zeros_like(x)

    return jax.jit(lambda batch, time: _example_losses(zero, batch, time, diffusion, seed))


def time_bins(loss_at: LossAt, batches: Sequence[Batch], num_bins: int) -> np.ndarray:
    """Equation (1): the mean loss of all examples for each time of `bin_centres`, `[bin]`."""
    return np.array(
        [
            np.mean([np.asarray(loss_at(batch, time)) for batch in batches])
            for time in bin_centres(num_bins)
        ]
    )


def conditioning_gap(
    loss_at: LossAt, batches: Sequence[Batch], strangers: Sequence[Batch], num_bins: int
) -> Interval:
    """Equation (2): the mean gap and its 95 % interval over the examples that are given a track.

    `strangers[i]` is `batches[i]` with latents of other songs; its given tracks are put in.
    """
    gaps = []
    for batch, stranger in zip(batches, strangers, strict=True):
        given = np.asarray(batch.task.roles) == Role.CONDITION  # [batch, track]
        latents = np.where(given[..., None, None], stranger.latents, batch.latents)
        swapped = dataclasses.replace(batch, latents=latents)
        per_time = [
            np.asarray(loss_at(swapped, time)) - np.asarray(loss_at(batch, time))
            for time in bin_centres(num_bins)
        ]
        gaps.append(np.mean(per_time, axis=0)[given.any(axis=1)])
    return mean_interval(np.concatenate(gaps))


def mean_interval(values: np.ndarray) -> Interval:
    """Mean and 95 % interval of two or more independent values, by the normal approximation."""
    mean = float(np.mean(values))
    half = 1.96 * float(np.std(values, ddof=1)) / np.sqrt(len(values))
    return mean, mean - half, mean + half


def _example_losses(
    predict: Predictor, batch: Batch, time: float, diffusion: DiffusionConfig, seed: int
) -> jax.Array:
    t = jnp.full(batch.index.shape, time)
    return example_loss(track_losses(predict, batch, t, diffusion, seed), batch.task)
