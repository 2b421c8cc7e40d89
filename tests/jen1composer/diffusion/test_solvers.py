"""Solvers against the closed form of `tests.gaussian`, exactly, in every one of the 65 tasks.

Then one step of each against the formula that its name stands for, and what holds for all of them
with any denoiser: held tracks, shared batches, noise that reaches only what moves.
"""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion import samplers
from jen1composer.diffusion.schedule import (
    SCHEDULES,
    CosineSchedule,
    RectifiedFlowSchedule,
    Schedule,
    make_schedule,
)
from jen1composer.diffusion.solvers import DDIM, DDPM, SAMPLERS, Euler, Heun, make_sampler
from jen1composer.errors import BadInput
from jen1composer.tracks import Role
from tests import gaussian

TASKS = gaussian.all_roles()
SOME_GIVEN = np.array([Role.CONDITION in roles for roles in TASKS])
ALL_FREE = np.array([set(roles) == {Role.TARGET} for roles in TASKS])
every_sampler = pytest.mark.parametrize('name', SAMPLERS)
two_schedules = pytest.mark.parametrize('schedule', [CosineSchedule(), RectifiedFlowSchedule()])
schedules = pytest.mark.parametrize('schedule', [make_schedule(name) for name in SCHEDULES])

# Largest error of the covariance at 50 steps, with nothing and with some given; least and largest
# order. What `python -m tests.gaussian` prints, with room for rounding only.
LAWS = {
    'ddpm': (0.095, 0.12, 0.9, 1.1),
    'ddim': (0.065, 0.06, 0.9, 1.1),
    'euler': (0.065, 0.06, 0.9, 1.1),
    'heun': (0.007, 0.003, 1.65, 2.1),
    'dpmpp_2m': (0.012, 0.0075, 1.65, 2.1),
    'dpmpp_2m_sde': (0.015, 0.042, 1.65, 2.1),
}


def test_there_are_65_tasks_and_strong_correlations():
    assert len(set(TASKS)) == 65
    assert gaussian.CORRELATION.min() >= 0.8
    assert np.linalg.eigvalsh(gaussian.COVARIANCE).min() > 0.1


@two_schedules
@every_sampler
def test_covariance_is_right(name, schedule):
    free, given, _, _ = LAWS[name]
    errors = gaussian.covariance_errors(make_sampler(name, schedule, {}), 50)
    assert errors[~SOME_GIVEN].max() <= free
    assert errors[SOME_GIVEN].max() <= given
    assert errors[ALL_FREE][0] > 1e-3  # the exact law itself would mean that nothing was measured


@two_schedules
@every_sampler
def test_halving_the_step_shows_the_order(name, schedule):
    _, _, least, most = LAWS[name]
    assert least <= gaussian.order(make_sampler(name, schedule, {})) <= most


@two_schedules
@every_sampler
def test_regression_on_given_tracks_is_exact(name, schedule):
    stepper = make_sampler(name, schedule, {})
    for roles in TASKS:
        found = gaussian.sampled_law(roles, stepper, 50).regression
        np.testing.assert_allclose(found, gaussian.exact_law(roles).regression, atol=1e-9)


@two_schedules
@every_sampler
def test_marginal_noise_influences_nothing_and_held_tracks_stay(name, schedule):
    result = gaussian.propagated(make_sampler(name, schedule, {}), 50)
    for roles, of_start, added in zip(np.array(TASKS), result.maps, result.added, strict=True):
        target = roles == Role.TARGET
        assert (of_start[np.ix_(target, roles == Role.MARGINAL)] == 0).all()
        np.testing.assert_array_equal(of_start[~target], np.eye(4)[~target])
        assert (of_start[np.ix_(target, roles == Role.CONDITION)] != 0).all()
        assert (added[~target] == 0).all()
        assert (added[:, ~target] == 0).all()


# ---- One step of each.


def one_step(stepper, x, x0, times, noise=None):
    """A step of one number whose denoiser knows x0: no estimate of before, [] -> []."""
    full = functools.partial(jnp.full, (1, 1, 1, 1))
    x = full(x)
    t_now, t_next = (jnp.full((1, 1), t) for t in times)
    state = samplers.initial_solver_state(x)
    noise = None if noise is None else full(noise)
    y, _ = stepper.step(lambda x, t: full(x0), x, state, t_now, t_next, noise)
    return y.item()


def ends(schedule: Schedule, times: tuple[float, float]) -> list[float]:
    """alpha_s, sigma_s, alpha_n, sigma_n."""
    return [value.item() for t in times for value in schedule.alpha_sigma(jnp.asarray(t))]


two_times = st.tuples(st.floats(0.02, 0.5), st.floats(0.52, 0.98)).map(lambda pair: pair[::-1])


@schedules
@hypothesis.given(times=two_times, eta=st.floats(0, 1))
def test_any_eta_keeps_the_variance_of_the_noise(schedule, times, eta):
    """With x_0 known, a step takes N(alpha_s x_0, sigma_s^2) to N(alpha_n x_0, sigma_n^2)."""
    with jax.enable_x64(True):
        alpha_s, sigma_s, alpha_n, sigma_n = ends(schedule, times)
        step = functools.partial(one_step, DDIM(schedule=schedule, eta=eta), x0=0.7, times=times)
        mean = step(x=alpha_s * 0.7, noise=0.0)
        of_x = step(x=alpha_s * 0.7 + sigma_s, noise=0.0) - mean
        of_noise = step(x=alpha_s * 0.7, noise=1.0) - mean
    np.testing.assert_allclose(mean, alpha_n * 0.7, atol=1e-12)
    np.testing.assert_allclose(of_x**2 + of_noise**2, sigma_n**2, atol=1e-12)


@schedules
@hypothesis.given(times=two_times)
def test_ddpm_draws_from_the_posterior(schedule, times):
    """q(x_n | x_s, x_0) by conditioning the Gaussian pair (x_n, x_s) of the forward process."""
    x, x0 = 0.4, -1.3
    with jax.enable_x64(True):
        alpha_s, sigma_s, alpha_n, sigma_n = ends(schedule, times)
        step = functools.partial(one_step, DDPM(schedule=schedule), x=x, x0=x0, times=times)
        mean, moved = step(noise=0.0), step(noise=1.0)
    shared = alpha_s / alpha_n * sigma_n**2  # covariance of x_n and x_s
    expected = alpha_n * x0 + shared / sigma_s**2 * (x - alpha_s * x0)
    np.testing.assert_allclose(mean, expected, atol=1e-12)
    np.testing.assert_allclose((moved - mean) ** 2, sigma_n**2 - shared**2 / sigma_s**2, atol=1e-12)


@schedules
@hypothesis.given(times=two_times)
def test_euler_is_the_euler_step_in_sigma_over_alpha_and_so_ddim(schedule, times):
    x, x0 = 0.4, -1.3
    with jax.enable_x64(True):
        alpha_s, sigma_s, alpha_n, sigma_n = ends(schedule, times)
        found = one_step(Euler(schedule=schedule), x, x0, times)
        assert found == one_step(DDIM(schedule=schedule), x, x0, times)
    u_s, u_n, y = sigma_s / alpha_s, sigma_n / alpha_n, x / alpha_s
    np.testing.assert_allclose(found, alpha_n * (y + (u_n - u_s) * (y - x0) / u_s), rtol=1e-10)


@hypothesis.given(times=two_times)
def test_euler_is_the_euler_step_in_t_under_rectified_flow(times):
    x, x0 = 0.4, -1.3
    with jax.enable_x64(True):
        found = one_step(Euler(schedule=RectifiedFlowSchedule()), x, x0, times)
    velocity = (x - x0) / times[0]  # epsilon - x_0
    np.testing.assert_allclose(found, x + (times[1] - times[0]) * velocity, rtol=1e-10)


@schedules
@hypothesis.given(times=two_times)
def test_heun_is_the_mean_of_two_slopes_in_sigma_over_alpha(schedule, times):
    def denoise(x, t):
        return 2.0 * np.sin(x) + t

    x = 0.4
    with jax.enable_x64(True):
        alpha_s, sigma_s, alpha_n, sigma_n = ends(schedule, times)
        t_now, t_next = (jnp.full((1, 1), t) for t in times)
        start = jnp.full((1, 1, 1, 1), x)
        found, _ = Heun(schedule=schedule).step(
            lambda x, t: 2.0 * jnp.sin(x) + t[..., None, None],
            start,
            samplers.initial_solver_state(start),
            t_now,
            t_next,
        )
        found = found.item()
    u_s, u_n, y = sigma_s / alpha_s, sigma_n / alpha_n, x / alpha_s
    slope = (y - denoise(alpha_s * y, times[0])) / u_s
    ahead = y + (u_n - u_s) * slope
    slope_ahead = (ahead - denoise(alpha_n * ahead, times[1])) / u_n
    expected = alpha_n * (y + (u_n - u_s) * (slope + slope_ahead) / 2)
    np.testing.assert_allclose(found, expected, rtol=1e-8)


# ---- What holds for all of them.


def rows(num_frames: int = 3) -> tuple[jax.Array, jax.Array]:
    """A task per row, and random latents; [task, track], [task, track, frame, channel]."""
    roles = jnp.array([tuple(map(int, roles)) for roles in TASKS])
    x = jax.random.normal(jax.random.key(0), (len(TASKS), 4, num_frames, 1))
    return roles, x


def noise_table(x: jax.Array, num_steps: int) -> jax.Array:
    """[step, task, track, frame, channel]."""
    return jax.random.normal(jax.random.key(1), (num_steps, *x.shape))


def mixing_denoiser(x: jax.Array, t: jax.Array) -> jax.Array:
    """Nonlinear, and each track sees every other: what leaks would show."""
    return jnp.tanh(x + 0.3 * jnp.roll(x, 1, axis=1)) + t[..., None, None]


@functools.partial(jax.jit, static_argnums=3)
def run(x, times, noise, stepper):
    return samplers.sample(mixing_denoiser, x, times, stepper, lambda step: noise[step])


@every_sampler
@pytest.mark.parametrize('on_held_tracks', [1e30, np.nan])
def test_held_tracks_come_back_bit_for_bit_and_noise_for_them_reaches_nothing(name, on_held_tracks):
    roles, x = rows()
    held = roles != Role.TARGET
    stepper = make_sampler(name, CosineSchedule(), {})
    times, noise = samplers.time_grid(roles, 7), noise_table(x, 7)
    y = run(x, times, noise, stepper)
    np.testing.assert_array_equal(y[held], x[held])
    assert np.isfinite(y).all()
    assert (y[~held] != x[~held]).all()
    spoiled = jnp.where(held[..., None, None], on_held_tracks, noise)
    np.testing.assert_array_equal(run(x, times, spoiled, stepper), y)


@pytest.mark.parametrize('name', ['ddpm', 'ddim', 'dpmpp_2m_sde'])
def test_noise_is_what_makes_a_sampler_stochastic(name):
    roles, x = rows()
    parameters = {'eta': 0.5} if name == 'ddim' else {}
    stepper = make_sampler(name, CosineSchedule(), parameters)
    times, noise = samplers.time_grid(roles, 7), noise_table(x, 7)
    other = run(x, times, -noise, stepper)
    moves = roles == Role.TARGET
    assert (run(x, times, noise, stepper)[moves] != other[moves]).all()
    with pytest.raises(ValueError, match='adds noise and was handed none'):
        samplers.sample(mixing_denoiser, x, times, stepper)


@every_sampler
def test_rows_at_different_steps_share_a_batch(name):
    """Rows start late, wait in the middle, take other steps, and end as they would alone."""
    roles, x = rows()
    stepper = make_sampler(name, CosineSchedule(), {})
    plans = [  # what a row does in each of ten shared steps: moves on, or waits
        (6, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]),
        (6, [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]),
        (6, [1, 1, 1, 0, 0, 1, 0, 1, 1, 0]),
        (10, [1] * 10),
    ]
    plan = [plans[row % len(plans)] for row in range(len(roles))]
    own_noise = noise_table(x, 10)  # by the row's own count of steps
    times = np.empty((11, *roles.shape), np.float32)
    noise = np.full(own_noise.shape, 1e30, np.float32)  # where a row waits, none is used
    for row, (num_steps, moves) in enumerate(plan):
        grid = samplers.time_grid(roles[row : row + 1], num_steps)[:, 0]
        times[:, row] = np.asarray(grid)[np.concatenate([[0], np.cumsum(moves)])]
        noise[np.flatnonzero(moves), row] = own_noise[:num_steps, row]
    together = run(x, jnp.asarray(times), jnp.asarray(noise), stepper)
    for num_steps in (6, 10):
        alone = run(x, samplers.time_grid(roles, num_steps), own_noise, stepper)
        same = np.array([steps == num_steps for steps, _ in plan])
        np.testing.assert_array_equal(together[same], alone[same])


@pytest.mark.parametrize(
    ('name', 'parameters', 'said'),
    [
        (
            'plms',
            {},
            "sampler: 'plms'; allowed are ddpm, ddim, euler, heun, dpmpp_2m, dpmpp_2m_sde",
        ),
        ('ddim', {'eta': 1.5}, 'sampler eta: 1.5; allowed is 0 to 1'),
        ('ddim', {'steps': 5}, "sampler ddim: 'steps'; allowed are eta"),
        ('ddpm', {'eta': 0.5}, "sampler ddpm: 'eta'; allowed are none"),
    ],
)
def test_what_is_not_there_is_refused_by_name(name, parameters, said):
    with pytest.raises(BadInput, match=said):
        make_sampler(name, CosineSchedule(), parameters)
