"""Schedules: ends that are exact, signal that only falls, and what each one's name promises."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion.schedule import (
    SCHEDULES,
    CosineSchedule,
    LinearBetaSchedule,
    RectifiedFlowSchedule,
    log_alpha_over_sigma,
    make_schedule,
)
from jen1composer.errors import BadInput

inside = st.floats(2**-12, 1 - 2**-12, width=32)
every = pytest.mark.parametrize('schedule', [make_schedule(name) for name in SCHEDULES])
of_angle = pytest.mark.parametrize('schedule', [CosineSchedule(), LinearBetaSchedule()])


@every
def test_the_ends_are_pinned_exactly_in_float32(schedule):
    alpha, sigma = schedule.alpha_sigma(jnp.float32([0.0, 1.0, -0.5, 1.5]))
    assert alpha.dtype == sigma.dtype == jnp.float32
    np.testing.assert_array_equal(alpha, [1, 0, 1, 0])
    np.testing.assert_array_equal(sigma, [0, 1, 0, 1])
    assert jnp.cos(jnp.float32(jnp.pi / 2)) != 0  # what would be there without the pin


@of_angle
@hypothesis.given(inside)
def test_variance_is_preserved(schedule, t):
    alpha, sigma = schedule.alpha_sigma(jnp.float32(t))
    assert 0 < alpha < 1
    assert 0 < sigma < 1
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-6)


@hypothesis.given(inside)
def test_cosine_and_rectified_flow_are_their_formulas(t):
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.float32(t))
    np.testing.assert_allclose(alpha, np.cos(np.pi * t / 2), atol=3e-7)
    np.testing.assert_allclose(sigma, np.sin(np.pi * t / 2), atol=3e-7)
    alpha, sigma = RectifiedFlowSchedule().alpha_sigma(jnp.float32(t))
    np.testing.assert_array_equal(alpha, np.float32(1) - np.float32(t))
    np.testing.assert_array_equal(sigma, np.float32(t))


def test_linear_beta_is_ddpm_at_the_thousand_steps_but_without_signal_at_the_last():
    kept = np.cumprod([np.sqrt(1 - beta) for beta in np.linspace(1e-4, 0.02, 1000)])
    with jax.enable_x64(True):
        alpha, sigma = LinearBetaSchedule().alpha_sigma(jnp.arange(1, 1001) / 1000)
        np.testing.assert_allclose(alpha[0], kept[0], rtol=1e-14)  # as it was
        ratio = np.asarray(alpha)[:-1] / (kept - kept[-1])[:-1]  # one factor for all
        np.testing.assert_allclose(ratio, kept[0] / (kept[0] - kept[-1]), rtol=1e-11)
        np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-14)
        assert alpha[-1] == 0
    assert kept[-1] > 0.006  # the signal that DDPM leaves in its noise


@every
def test_noise_only_grows_with_time(schedule):
    t = jnp.linspace(0, 1, 1001)
    alpha, sigma = schedule.alpha_sigma(t)
    log_ratio = log_alpha_over_sigma(alpha, sigma)
    assert jnp.all(jnp.diff(alpha) < 0)
    assert jnp.all(jnp.diff(sigma) >= 0)  # flat to rounding near its maximum
    assert jnp.all(jnp.diff(log_ratio) < 0)
    assert jnp.all(jnp.isfinite(log_ratio[1:-1]))


@every
@hypothesis.given(inside)
def test_time_at_is_the_inverse(schedule, t):
    with jax.enable_x64(True):
        alpha, _ = schedule.alpha_sigma(jnp.float64(t))
        np.testing.assert_allclose(schedule.time_at(float(alpha)), t, atol=1e-7)
    assert schedule.time_at(1.0) == 0
    assert schedule.time_at(0.0) == 1


@pytest.mark.parametrize('schedule', [CosineSchedule(), RectifiedFlowSchedule()])
def test_log_ratio_is_infinite_at_the_ends_and_odd_about_the_middle(schedule):
    alpha, sigma = schedule.alpha_sigma(jnp.float32([0.0, 0.25, 0.5, 0.75, 1.0]))
    log_ratio = np.asarray(log_alpha_over_sigma(alpha, sigma))
    assert log_ratio[0] == np.inf
    assert log_ratio[-1] == -np.inf
    np.testing.assert_allclose(log_ratio[1:4], -log_ratio[3:0:-1], atol=1e-6)
    np.testing.assert_allclose(log_ratio[1], np.log(alpha[1] / sigma[1]), rtol=1e-6)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(
        BadInput, match="schedule: 'cos'; allowed are cosine, linear_beta, rectified_flow"
    ):
        make_schedule('cos')
