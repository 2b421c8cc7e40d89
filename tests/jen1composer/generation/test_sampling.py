"""The compiled run with random weights: what a row is made of, and what compiles nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.guidance import Branches, Guidance
from jen1composer.diffusion.samplers import time_grid
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.diffusion.solvers import SAMPLERS, make_sampler
from jen1composer.generation.sampling import generate, window_noise
from jen1composer.models.unet import UNet
from jen1composer.tracks import Role
from jen1composer.training.composer_step import DiffusionConfig
from tests import tiny

MODEL = UNet(tiny.UNET)
FRAMES = 8
ROLES = np.array([[0, 0, 0, 0], [0, 2, 1, 0], [1, 0, 0, 2]])
SHAPE = (4, FRAMES, tiny.UNET.latent_channels)
CLEAN = np.random.default_rng(0).normal(size=(len(ROLES), *SHAPE)).astype(np.float32)
ALL = [0, 1, 2]


@pytest.fixture(scope='module')
def params():
    return tiny.randomised(tiny.init_params(tiny.UNET))


def made(
    params,
    rows=ALL,
    *,
    seed=3,
    clean=CLEAN,
    visible=None,
    start=1.0,
    steps=3,
    sampler='dpmpp_2m',
    windows=None,
    **scales,
):
    """The latents of `rows`, each with its own seed, and window unless `windows` says otherwise."""
    task = tiny.make_task(ROLES[rows], FRAMES)
    if visible is not None:
        task.visible[:] = visible
    guidance = Guidance.constant(len(rows), **{'given': (1.0,) * 4} | scales)
    key = np.array(rows, np.uint32)
    text = jax.tree.map(lambda leaf: leaf[rows], tiny.make_text(len(ROLES)))
    return np.asarray(
        generate(
            params,
            clean[rows],
            task,
            text,
            seed + key,
            5 * key if windows is None else np.array(windows, np.uint32),
            guidance,
            time_grid(ROLES[rows], steps, start),
            model=MODEL,
            diffusion=DiffusionConfig(),
            branches=Branches(text=True, given=(0,)),
            stepper=make_sampler(sampler, CosineSchedule(), {}),
        )
    )


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_a_row_is_the_same_in_any_batch(params, sampler):
    together = made(params, text=2.0, sampler=sampler)
    for row in ALL:
        alone = made(params, [row], text=2.0, sampler=sampler)[0]
        np.testing.assert_allclose(together[row], alone, atol=1e-5)


def test_the_noise_of_a_row_is_equal_to_the_bit_in_any_batch():
    seeds, windows = np.array([3, 9, 5], np.uint32), np.array([0, 1, 7], np.uint32)
    np.testing.assert_array_equal(
        window_noise(seeds, windows, SHAPE)[2], window_noise(seeds[2:], windows[2:], SHAPE)[0]
    )


def test_seed_and_window_both_key_the_noise():
    seeds, windows = np.meshgrid(np.arange(3, dtype=np.uint32), np.arange(3, dtype=np.uint32))
    noise = window_noise(seeds.ravel(), windows.ravel(), SHAPE)
    assert len(np.unique(noise)) == noise.size


@pytest.mark.parametrize('sampler', ['dpmpp_2m', 'ddpm'])
def test_each_window_of_a_piece_is_made_from_its_own_noise(params, sampler):
    first, again, second = (
        made(params, [0], windows=[window], sampler=sampler) for window in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != second).all()


@dataclasses.dataclass(frozen=True)
class Keep:
    """A stepper that makes of x the noise of step `number` of `num_steps`."""

    number: int
    num_steps: int
    schedule: CosineSchedule = dataclasses.field(default_factory=CosineSchedule)

    def step(self, denoise, x, state, t_now, t_next, noise):
        this = jnp.round((1 - t_now) * self.num_steps) == self.number
        return jnp.where(this[..., None, None], noise, x), state


def test_no_two_steps_of_any_windows_share_their_noise(params):
    windows, num_steps = np.arange(4, dtype=np.uint32), 3
    roles = np.zeros((len(windows), 4), int)
    noises = [
        generate(
            params,
            np.zeros((len(windows), *SHAPE), np.float32),
            tiny.make_task(roles, FRAMES),
            tiny.make_text(len(windows)),
            np.full(len(windows), 3, np.uint32),
            windows,
            Guidance.constant(len(windows), given=(1.0,) * 4),
            time_grid(roles, num_steps),
            model=MODEL,
            diffusion=DiffusionConfig(),
            branches=Branches(),
            stepper=Keep(number, num_steps),
        )
        for number in range(num_steps)
    ]
    firsts = np.stack(noises)[:, :, 0, 0, 0]  # [step, window]
    assert len(np.unique(firsts)) == num_steps * len(windows)


@pytest.mark.parametrize('content', [1e30, np.nan])
def test_what_a_marginal_track_holds_cannot_change_anything(params, content):
    marginal = (ROLES == Role.MARGINAL)[..., None, None]
    spoiled = np.where(marginal, content, CLEAN).astype(np.float32)
    numbers = {'text': 2.0, 'given': (1.5, 1.0, 1.0, 1.0)}
    np.testing.assert_array_equal(
        made(params, clean=spoiled, **numbers), made(params, clean=CLEAN, **numbers)
    )


@pytest.mark.parametrize('sampler', SAMPLERS)
def test_from_pure_noise_of_a_targets_latents_only_visible_frames_are_used(params, sampler):
    visible = np.zeros((1, 4, FRAMES), bool)
    visible[:, :2, :3] = True
    target = (ROLES == Role.TARGET)[..., None, None]
    other = np.where(target & ~visible[..., None], 7.0, CLEAN).astype(np.float32)
    one, two = (
        made(params, clean=clean, visible=visible, sampler=sampler) for clean in (CLEAN, other)
    )
    np.testing.assert_array_equal(one, two)
    shown = np.broadcast_to(target & visible[..., None], CLEAN.shape)
    np.testing.assert_array_equal(one[shown], CLEAN[shown])
    assert (one[np.broadcast_to(target, CLEAN.shape) & ~shown] != 7.0).all()


def test_held_tracks_and_strength_zero_come_back_bit_for_bit(params):
    target = np.broadcast_to((ROLES == Role.TARGET)[..., None, None], CLEAN.shape)
    given = np.broadcast_to((ROLES == Role.CONDITION)[..., None, None], CLEAN.shape)
    untouched = made(params, start=0.0, text=2.0)
    np.testing.assert_array_equal(untouched[target], CLEAN[target])
    np.testing.assert_array_equal(made(params, text=2.0)[given], CLEAN[given])


def test_a_variation_leaves_more_the_weaker_it_is(params):
    target = np.broadcast_to((ROLES == Role.TARGET)[..., None, None], CLEAN.shape)
    strengths = (0.0, 0.25, 0.5, 0.75)
    distances = [np.std((made(params, start=s) - CLEAN)[target]) for s in strengths]
    assert (np.diff(distances) > 0).all()


def test_new_seeds_scales_starts_and_spans_compile_nothing(params):
    made(params)
    before = generate._cache_size()
    for number in range(1, 4):
        made(
            params,
            seed=number,
            visible=np.arange(FRAMES) < number,
            start=number / 4,
            text=float(number),
            low=0.1 * number,
            rescale=0.2 * number,
        )
    assert generate._cache_size() == before
    made(params, steps=5)
    assert generate._cache_size() == before + 1
