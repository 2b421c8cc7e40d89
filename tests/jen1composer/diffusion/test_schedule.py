"""The schedule: ends that are exact, signal and noise that add up to one."""

import hypothesis
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from jen1composer.diffusion.schedule import CosineSchedule, log_alpha_over_sigma

inside = st.floats(2**-12, 1 - 2**-12, width=32)


def test_the_ends_are_pinned_exactly_in_float32():
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.float32([0.0, 1.0, -0.5, 1.5]))
    assert alpha.dtype == sigma.dtype == jnp.float32
    np.testing.assert_array_equal(alpha, [1, 0, 1, 0])
    np.testing.assert_array_equal(sigma, [0, 1, 0, 1])
    assert jnp.cos(jnp.float32(jnp.pi / 2)) != 0  # what would be there without the pin


@hypothesis.given(inside)
def test_variance_is_preserved(t):
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.float32(t))
    assert 0 < alpha < 1
    assert 0 < sigma < 1
    np.testing.assert_allclose(alpha**2 + sigma**2, 1, rtol=1e-6)
    np.testing.assert_allclose(alpha, np.cos(np.pi * t / 2), atol=3e-7)


def test_noise_only_grows_with_time():
    t = jnp.linspace(0, 1, 1001)
    alpha, sigma = CosineSchedule().alpha_sigma(t)
    log_ratio = log_alpha_over_sigma(alpha, sigma)
    assert jnp.all(jnp.diff(alpha) < 0)
    assert jnp.all(jnp.diff(sigma)[:-2] > 0)  # flat to rounding at the very end
    assert jnp.all(jnp.diff(log_ratio) < 0)


def test_log_ratio_is_infinite_at_the_ends_and_odd_about_the_middle():
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.float32([0.0, 0.25, 0.5, 0.75, 1.0]))
    log_ratio = np.asarray(log_alpha_over_sigma(alpha, sigma))
    assert log_ratio[0] == np.inf
    assert log_ratio[-1] == -np.inf
    np.testing.assert_allclose(log_ratio[1:4], -log_ratio[3:0:-1], atol=1e-6)
    np.testing.assert_allclose(log_ratio[1], -np.log(np.tan(np.pi / 8)), rtol=1e-6)
