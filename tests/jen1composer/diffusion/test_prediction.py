"""Predictions: each kind stands for the same clean latents, under every schedule."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import SCHEDULES, CosineSchedule, make_schedule

SHAPE = (3, 2, 4, 2)  # [batch, track, frame, channel]
schedules = pytest.mark.parametrize('schedule', [make_schedule(name) for name in SCHEDULES])
predictions = pytest.mark.parametrize('prediction', list(Prediction))
six_numbers = st.lists(st.floats(2**-10, 1 - 2**-10), min_size=6, max_size=6)


def latents_and_noise(dtype: type = np.float32) -> tuple[jnp.ndarray, jnp.ndarray]:
    rng = np.random.default_rng(0)
    x0, noise = rng.normal(size=(2, *SHAPE)).astype(dtype)
    return jnp.asarray(x0), jnp.asarray(noise)


def round_trip(prediction: Prediction, alpha: jax.Array, sigma: jax.Array) -> tuple:
    """x0 and what is found of it, in float64."""
    x0, noise = latents_and_noise(np.float64)
    x = alpha[..., None, None] * x0 + sigma[..., None, None] * noise
    target = prediction.target(x0, noise, alpha, sigma)
    return x0, prediction.to_x0(target, x, alpha, sigma)


@predictions
@schedules
@hypothesis.given(t=six_numbers)
def test_target_and_conversion_invert_each_other(prediction, schedule, t):
    with jax.enable_x64(True):
        x0, found = round_trip(prediction, *schedule.alpha_sigma(jnp.array(t).reshape(3, 2)))
        np.testing.assert_allclose(found, x0, atol=1e-10)


@predictions
@hypothesis.given(alpha=six_numbers, sigma=six_numbers)
def test_no_relation_of_alpha_and_sigma_is_assumed(prediction, alpha, sigma):
    with jax.enable_x64(True):
        pair = (jnp.array(value).reshape(3, 2) for value in (alpha, sigma))
        x0, found = round_trip(prediction, *pair)
        np.testing.assert_allclose(found, x0, atol=1e-10)


@schedules
@pytest.mark.parametrize('prediction', [Prediction.V, Prediction.X0, Prediction.VELOCITY])
def test_all_but_epsilon_hold_at_both_ends(prediction, schedule):
    x0, noise = latents_and_noise()
    alpha, sigma = schedule.alpha_sigma(jnp.tile(jnp.float32([0, 1]), (3, 1)))
    x = jnp.where(alpha[..., None, None] == 1, x0, noise)
    target = prediction.target(x0, noise, alpha, sigma)
    found = prediction.to_x0(target, x, alpha, sigma)
    np.testing.assert_array_equal(found[:, 0], x0[:, 0])  # t = 0
    np.testing.assert_allclose(found[:, 1], x0[:, 1], atol=1e-6)  # t = 1


@schedules
def test_epsilon_says_nothing_at_pure_noise_and_enough_where_sampling_starts(schedule):
    _, noise = latents_and_noise()
    alpha, sigma = schedule.alpha_sigma(jnp.ones((3, 2)))
    found = Prediction.EPSILON.to_x0(noise + 1, noise, alpha, sigma)
    assert not np.isfinite(found).any()
    t_max = Prediction.EPSILON.t_max(schedule)
    assert 0.9 < t_max < 1
    alpha, _ = schedule.alpha_sigma(jnp.float32(t_max))
    np.testing.assert_allclose(alpha, 1 / 128, rtol=1e-4)
    assert Prediction.VELOCITY.t_max(schedule) == 1


def test_the_targets_are_what_their_names_say():
    x0, noise = latents_and_noise()
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.full((3, 2), 1 / 3))
    a, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    v = Prediction.V.target(x0, noise, alpha, sigma)
    np.testing.assert_allclose(v, a * noise - s * x0, atol=1e-6)
    np.testing.assert_array_equal(Prediction.EPSILON.target(x0, noise, alpha, sigma), noise)
    np.testing.assert_array_equal(Prediction.X0.target(x0, noise, alpha, sigma), x0)


def test_velocity_is_the_derivative_along_rectified_flow():
    x0, noise = latents_and_noise()
    schedule = make_schedule('rectified_flow')

    def at(t: jax.Array) -> jax.Array:
        alpha, sigma = schedule.alpha_sigma(t)
        return alpha * x0 + sigma * noise

    _, derivative = jax.jvp(at, (jnp.float32(0.3),), (jnp.float32(1),))
    velocity = Prediction.VELOCITY.target(x0, noise, *schedule.alpha_sigma(jnp.full((3, 2), 0.3)))
    np.testing.assert_allclose(velocity, derivative, atol=1e-6)
