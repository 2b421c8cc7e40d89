"""Samplers against the closed form of `tests.gaussian`, exactly, in every one of the 65 tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion import samplers
from jen1composer.diffusion.samplers import DDIM, DPMSolverPP2M
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.tracks import Role
from tests import gaussian

STEPPERS = {
    'ddim': DDIM(schedule=CosineSchedule()),
    '2m': DPMSolverPP2M(schedule=CosineSchedule()),
}
TASKS = gaussian.all_roles()
SOME_GIVEN = np.array([Role.CONDITION in roles for roles in TASKS])
ALL_FREE = np.array([set(roles) == {Role.TARGET} for roles in TASKS])


def covariance_errors(name: str, num_steps: int) -> np.ndarray:
    """Relative error of the covariance in each task."""
    return np.array(
        [
            gaussian.relative_error(
                gaussian.sampled_law(roles, STEPPERS[name], num_steps).covariance,
                gaussian.exact_law(roles).covariance,
            )
            for roles in TASKS
        ]
    )


def test_there_are_65_tasks_and_strong_correlations():
    assert len(set(TASKS)) == 65
    assert gaussian.CORRELATION.min() >= 0.8
    assert np.linalg.eigvalsh(gaussian.COVARIANCE).min() > 0.1


@pytest.mark.parametrize(
    ('name', 'num_steps', 'free', 'given'),
    [('ddim', 50, 0.08, 0.06), ('2m', 50, 0.025, 0.01), ('2m', 100, 0.01, 0.01)],
)
def test_covariance_is_right(name, num_steps, free, given):
    errors = covariance_errors(name, num_steps)
    assert errors[~SOME_GIVEN].max() <= free
    assert errors[SOME_GIVEN].max() <= given
    assert errors[ALL_FREE][0] > 1e-3  # the exact law itself would mean that nothing was measured


@pytest.mark.parametrize(('name', 'least', 'most'), [('ddim', 0.9, 1.1), ('2m', 1.5, 3.0)])
def test_halving_the_step_shows_the_order(name, least, most):
    order = np.log2(covariance_errors(name, 200) / covariance_errors(name, 400))
    assert order.min() >= least
    assert order.max() <= most


@pytest.mark.parametrize('name', STEPPERS)
def test_regression_on_given_tracks_is_exact(name):
    for roles in TASKS:
        found = gaussian.sampled_law(roles, STEPPERS[name], 50).regression
        np.testing.assert_allclose(found, gaussian.exact_law(roles).regression, atol=1e-9)


@pytest.mark.parametrize('name', STEPPERS)
def test_marginal_noise_influences_nothing_and_held_tracks_stay(name):
    maps = gaussian.sampled_maps(STEPPERS[name], 50)
    for roles, columns in zip(np.array(TASKS), maps, strict=True):
        target = roles == Role.TARGET
        assert (columns[np.ix_(target, roles == Role.MARGINAL)] == 0).all()
        np.testing.assert_array_equal(columns[~target], np.eye(4)[~target])
        assert (columns[np.ix_(target, roles == Role.CONDITION)] != 0).all()


def rows(num_frames: int = 3) -> tuple[jax.Array, jax.Array]:
    """A task per row, and random latents; [task, track], [task, track, frame, channel]."""
    roles = jnp.array([tuple(map(int, roles)) for roles in TASKS])
    x = jax.random.normal(jax.random.key(0), (len(TASKS), 4, num_frames, 1))
    return roles, x


def mixing_denoiser(x: jax.Array, t: jax.Array) -> jax.Array:
    """Nonlinear, and each track sees every other: what leaks would show."""
    return jnp.tanh(x + 0.3 * jnp.roll(x, 1, axis=1)) + t[..., None, None]


@pytest.mark.parametrize('name', STEPPERS)
def test_held_tracks_come_back_bit_for_bit(name):
    roles, x = rows()
    run = jax.jit(samplers.sample, static_argnums=(0, 3))
    y = run(mixing_denoiser, x, samplers.time_grid(roles, 7), STEPPERS[name])
    held = roles != Role.TARGET
    np.testing.assert_array_equal(y[held], x[held])
    assert np.isfinite(y).all()
    assert (y[~held] != x[~held]).all()


@pytest.mark.parametrize('name', STEPPERS)
def test_rows_at_different_steps_share_a_batch(name):
    """Rows start late, wait in the middle, take other steps, and end as they would alone."""
    roles, x = rows()
    plans = [  # what a row does in each of ten shared steps: moves on, or waits
        (6, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]),
        (6, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
        (6, [1, 1, 1, 0, 0, 1, 0, 1, 1, 0]),
        (10, [1] * 10),
    ]
    plan = [plans[row % len(plans)] for row in range(len(roles))]
    times = np.empty((11, *roles.shape), np.float32)
    for row, (num_steps, moves) in enumerate(plan):
        grid = samplers.time_grid(roles[row : row + 1], num_steps)[:, 0]
        times[:, row] = np.asarray(grid)[np.concatenate([[0], np.cumsum(moves)])]
    run = jax.jit(samplers.sample, static_argnums=(0, 3))
    together = run(mixing_denoiser, x, jnp.asarray(times), STEPPERS[name])
    for num_steps in (6, 10):
        alone = run(mixing_denoiser, x, samplers.time_grid(roles, num_steps), STEPPERS[name])
        same = np.array([steps == num_steps for steps, _ in plan])
        np.testing.assert_array_equal(together[same], alone[same])


def test_time_grid_falls_from_t_max_to_zero_on_targets_only():
    grid = samplers.time_grid(jnp.array([[0, 1, 2, 0]]), 4, t_max=0.8)
    np.testing.assert_allclose(grid[:, 0, 0], [0.8, 0.6, 0.4, 0.2, 0.0], atol=1e-6)
    np.testing.assert_array_equal(grid[:, 0, 3], grid[:, 0, 0])
    assert (grid[:, 0, 1] == 0).all()
    assert (grid[:, 0, 2] == 1).all()
