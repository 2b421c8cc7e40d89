"""The composer's loss: denoise the targets, given the rest.

For an example with index i, clean latents x_0 and roles r:

(1) t in (0, 1] from (seed, i), by the time sampling;  t_k = t, 0 or 1 by the role of track k
(2) epsilon from (seed, i, k);  x_k = alpha(t_k) x_0k + sigma(t_k) epsilon_k
(3) the prompt is dropped with a set chance, from (seed, i), and a learned null takes its place; of
    tempo, key and chords each is unknown with a set chance, and all of them with another
(4) e = squared error of the network's prediction against that of (x_0, epsilon), targets only
(5) loss = mean over examples of w(t) e, by the weighting

The noise in (4) is the noise of (2), and the network is told every t_k.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Batch, Control, Task, Text, unknown_control
from jen1composer.diffusion.corruption import corrupt, is_shown, shown_latents, track_times
from jen1composer.diffusion.guidance import Predictor
from jen1composer.diffusion.loss import example_loss, squared_error
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.randomness import Draw, chance, track_noise
from jen1composer.diffusion.samplers import Denoiser
from jen1composer.diffusion.schedule import CosineSchedule, Schedule
from jen1composer.diffusion.time_sampling import TimeSampling, UniformTimes
from jen1composer.diffusion.weighting import UniformWeighting, Weighting
from jen1composer.errors import require
from jen1composer.training.state import PyTree
from jen1composer.training.step import LossFn, Metrics


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffusionConfig:
    """How latents are corrupted and what is predicted."""

    prediction: Prediction = Prediction.V
    schedule: Schedule = dataclasses.field(default_factory=CosineSchedule)
    time_sampling: TimeSampling = dataclasses.field(default_factory=UniformTimes)
    weighting: Weighting = dataclasses.field(default_factory=UniformWeighting)
    prompt_dropout: float = 0.2  # JEN-1
    control_dropout: float = 0.3  # of tempo, key and chords, each by itself
    control_null: float = 0.2  # of all three at once: what guidance compares with

    def __post_init__(self) -> None:
        for name in ('prompt_dropout', 'control_dropout', 'control_null'):
            dropout = getattr(self, name)
            require(0 <= dropout <= 1, f'diffusion.{name}', dropout, 'is 0 to 1')


def make_predictor(model: nn.Module, params: PyTree) -> Predictor:
    """The network with its weights as a function of (x, t, shown, task, text)."""

    def predict(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        return jnp.asarray(model.apply({'params': params}, x, t, shown, task, text))

    return predict


def make_estimator(predict: Predictor, diffusion: DiffusionConfig) -> Predictor:
    """`predict`, whatever kind of prediction it makes, as an estimate of x_0."""

    def estimate(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        alpha, sigma = diffusion.schedule.alpha_sigma(t)
        return diffusion.prediction.to_x0(predict(x, t, shown, task, text), x, alpha, sigma)

    return estimate


def make_denoiser(estimate: Predictor, clean: jax.Array, task: Task, text: Text) -> Denoiser:
    """The estimate of x_0 at (x, t) that samplers call, from one that is told everything.

    Where a target is visible, `clean` [batch, track, frame, channel] is the estimate: x then moves
    along alpha x_0 + sigma epsilon as it did in training, and arrives at the latents it was shown.
    """
    shown, visible = shown_latents(clean, task), is_shown(task)

    def denoise(x: jax.Array, t: jax.Array) -> jax.Array:
        return jnp.where(visible, shown, estimate(x, t, shown, task, text))

    return denoise


def track_losses(
    predict: Predictor, batch: Batch, t: jax.Array, diffusion: DiffusionConfig, seed: int
) -> jax.Array:
    """Equation (4) per example and track, `[batch, track]`, at target times `t` [batch]."""
    clean = batch.latents.astype(jnp.float32)  # exact: they come as they are stored, in bfloat16
    times = track_times(batch.task.roles, t)  # [batch, track]
    noise = track_noise(seed, batch.index, clean.shape[1:])
    x = corrupt(clean, noise, times, diffusion.schedule)
    alpha, sigma = diffusion.schedule.alpha_sigma(times)
    target = diffusion.prediction.target(clean, noise, alpha, sigma)
    shown = shown_latents(clean, batch.task)
    output = predict(x, times, shown, batch.task, batch.text)
    return squared_error(output, target, batch.task)


def drop_control(
    control: Control | None, diffusion: DiffusionConfig, seed: int, index: jax.Array
) -> Control | None:
    """Equation (3) for tempo, key and chords; None, where all are unknown already, stays so."""
    if control is None:
        return None
    nothing = chance(seed, index, Draw.CONTROL, diffusion.control_null)  # [batch]

    def dropped(draw: Draw) -> jax.Array:
        return nothing | chance(seed, index, draw, diffusion.control_dropout)

    unknown = unknown_control(*control.chords.shape)
    return Control(
        bpm=jnp.where(dropped(Draw.TEMPO), unknown.bpm, control.bpm),
        key=jnp.where(dropped(Draw.KEY), unknown.key, control.key),
        chords=jnp.where(dropped(Draw.CHORDS)[:, None], unknown.chords, control.chords),
    )


def make_composer_loss(model: nn.Module, diffusion: DiffusionConfig, seed: int) -> LossFn:
    """Returns `loss_fn(params, batch, step) -> (loss, metrics)` for `make_train_step`."""

    def loss_fn(params: PyTree, batch: Batch, step: jax.Array) -> tuple[jax.Array, Metrics]:
        del step  # all that is random is keyed by the example's index
        drop = chance(seed, batch.index, Draw.TEXT, diffusion.prompt_dropout)
        text = dataclasses.replace(
            batch.text,
            use_prompt=batch.text.use_prompt & ~drop,
            control=drop_control(batch.text.control, diffusion, seed, batch.index),
        )
        batch = dataclasses.replace(batch, text=text)
        t = diffusion.time_sampling.times(seed, batch.index)  # [batch]
        per_track = track_losses(make_predictor(model, params), batch, t, diffusion, seed)
        weight = diffusion.weighting.weight(
            *diffusion.schedule.alpha_sigma(t), diffusion.prediction
        )
        return jnp.mean(weight * example_loss(per_track, batch.task)), {}  # (5)

    return loss_fn
