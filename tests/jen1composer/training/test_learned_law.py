"""The learned law: a small network, trained and sampled by this project, against the closed form.

Four Gaussian tracks (`tests.gaussian`), the tasks mixed as in the last stage of a curriculum, the
project's loss, step and sampler. As the law is Gaussian, a good network makes the sampler a linear
map of noise z and given tracks g:

(1) x = N z + G g + residual

fitted by least squares over many samples, so that the figures are the network's and hardly those of
chance. G is compared with the true regression, N N^T + cov(residual) with the true covariance.

A second network is trained alike except that the given tracks it is shown belong to other examples.
It must fail: what passes has used its conditions.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion import samplers
from jen1composer.diffusion.batch import Batch
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.randomness import track_noise
from jen1composer.diffusion.solvers import DPMSolverPP2M
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.tracks import Role
from jen1composer.training.composer_step import (
    DiffusionConfig,
    make_composer_loss,
    make_denoiser,
    make_estimator,
    make_predictor,
)
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.state import PyTree, initial_state
from jen1composer.training.step import make_train_step
from tests import gaussian, tiny

NUM_TRACKS, NUM_FRAMES = gaussian.NUM_TRACKS, 4
BATCH = 256
STEPS = 2000
MODEL = UNet(
    UNetConfig(
        num_tracks=NUM_TRACKS,
        latent_channels=1,
        text_width=2,
        channels=(64,),
        factors=(1,),
        blocks=(1,),
        attentions=(0,),
        condition_width=64,
        time_frequencies=8,
    )
)
DIFFUSION = DiffusionConfig(prompt_dropout=0.0)
OPTIMIZER = make_optimizer(
    OptimizerConfig(peak_learning_rate=5e-3, total_steps=STEPS, warmup_steps=50, b2=0.99)
)
FACTOR = np.linalg.cholesky(gaussian.COVARIANCE)
TASKS = [tuple(map(int, roles)) for roles in gaussian.all_roles()]


def correlated(rng: np.random.Generator, rows: int) -> np.ndarray:
    white = rng.normal(size=(rows, NUM_TRACKS, NUM_FRAMES, 1))
    return np.einsum('kj,bjtc->bktc', FACTOR, white).astype(np.float32)


def training_batch(step: int, hide: bool) -> Batch:
    """1 to 4 targets, alike often; each other track given or marginal, alike often."""
    rng = np.random.default_rng((0, step))
    latents = correlated(rng, BATCH)
    num_targets = rng.integers(1, NUM_TRACKS + 1, size=(BATCH, 1))
    is_target = rng.permuted(np.tile(np.arange(NUM_TRACKS), (BATCH, 1)), axis=1) < num_targets
    held = rng.integers(1, 3, size=(BATCH, NUM_TRACKS))
    roles = np.where(is_target, Role.TARGET, held)
    if hide:
        given = (roles == Role.CONDITION)[..., None, None]
        latents = np.where(given, np.roll(latents, 1, axis=0), latents)
    return Batch(
        latents=latents,
        task=tiny.make_task(roles, NUM_FRAMES),
        text=tiny.make_text(BATCH, width=2, num_tokens=1, num_prefix=1),
        index=np.arange(step * BATCH, (step + 1) * BATCH, dtype=np.uint32),
    )


@functools.cache
def jitted_step():
    loss = make_composer_loss(MODEL, DIFFUSION, 0)
    return jax.jit(make_train_step(loss, OPTIMIZER, 0.995), donate_argnums=0)


@functools.cache
def averaged_weights(hide: bool) -> PyTree:
    state = initial_state(lambda: tiny.init_params(MODEL.config, NUM_FRAMES), OPTIMIZER)
    for step in range(STEPS):
        state, _ = jitted_step()(state, training_batch(step, hide))
    return state.ema


@jax.jit
def sample(params, x, times, task, text):
    estimate = make_estimator(make_predictor(MODEL, params), DIFFUSION)
    denoise = make_denoiser(estimate, x, task, text)
    return samplers.sample(denoise, x, times, DPMSolverPP2M(schedule=DIFFUSION.schedule))


@functools.cache
def learned_laws(hide: bool, rows: int = 64, num_steps: int = 50) -> dict[tuple, gaussian.Law]:
    """Equation (1), fitted for each of the 65 tasks on `rows` x `NUM_FRAMES` samples."""
    roles = np.repeat(np.array(TASKS), rows, axis=0)
    index = jnp.arange(len(roles), dtype=jnp.uint32)
    noise = track_noise(1, index, (NUM_TRACKS, NUM_FRAMES, 1))
    given = correlated(np.random.default_rng(1), len(roles))
    times = samplers.time_grid(jnp.asarray(roles), num_steps)
    x = corrupt(jnp.asarray(given), noise, times[0], DIFFUSION.schedule)
    task = tiny.make_task(roles, NUM_FRAMES)
    text = tiny.make_text(len(roles), width=2, num_tokens=1, num_prefix=1)
    y = sample(averaged_weights(hide), x, times, task, text)
    start, end = (  # [task, sample, track]
        np.asarray(z[..., 0].swapaxes(1, 2)).reshape(len(TASKS), -1, NUM_TRACKS) for z in (x, y)
    )
    return {task: fitted(task, start[i], end[i]) for i, task in enumerate(TASKS)}


def fitted(roles: tuple[int, ...], start: np.ndarray, end: np.ndarray) -> gaussian.Law:
    """Equation (1) by least squares over `start` and `end`, each [sample, track]."""
    role = np.array(roles)
    target, given = role == Role.TARGET, role == Role.CONDITION
    told = np.concatenate([start[:, target], start[:, given]], axis=1)
    columns, *_ = np.linalg.lstsq(told, end[:, target], rcond=None)
    residual = end[:, target] - told @ columns
    noise_map, regression = np.split(columns.T, [target.sum()], axis=1)
    spread = residual.T @ residual / len(residual)
    return gaussian.Law(noise_map @ noise_map.T + spread, regression)


def errors(hide: bool, some_given: bool) -> tuple[np.ndarray, np.ndarray]:
    """Relative errors of covariance and regression over the tasks with or without given tracks."""
    found = learned_laws(hide)
    tasks = [roles for roles in TASKS if (Role.CONDITION in roles) == some_given]
    exact = [gaussian.exact_law(roles) for roles in tasks]
    covariance = [
        gaussian.relative_error(found[roles].covariance, law.covariance)
        for roles, law in zip(tasks, exact, strict=True)
    ]
    regression = [
        gaussian.relative_error(found[roles].regression, law.regression)
        for roles, law in zip(tasks, exact, strict=True)
        if some_given
    ]
    return np.array(covariance), np.array(regression)


def test_every_joint_marginal_and_conditional_law_is_learned():
    free, _ = errors(hide=False, some_given=False)
    given, regression = errors(hide=False, some_given=True)
    assert free.max() <= 0.1
    assert regression.max() <= 0.1
    assert given.mean() <= 0.1
    assert given.max() <= 0.25  # conditional variances are a fifth of the others


def test_with_conditions_hidden_only_the_joint_laws_are():
    free, _ = errors(hide=True, some_given=False)
    given, regression = errors(hide=True, some_given=True)
    assert free.max() <= 0.1
    assert regression.min() > 0.8
    assert given.min() > 0.8
