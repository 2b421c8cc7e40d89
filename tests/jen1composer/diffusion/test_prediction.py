"""Predictions: each kind stands for the same clean latents."""

import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import CosineSchedule

SHAPE = (3, 2, 4, 2)  # [batch, track, frame, channel]


def latents_and_noise() -> tuple[jnp.ndarray, jnp.ndarray]:
    rng = np.random.default_rng(0)
    x0, noise = rng.normal(size=(2, *SHAPE)).astype(np.float32)
    return jnp.asarray(x0), jnp.asarray(noise)


@pytest.mark.parametrize('prediction', list(Prediction))
@hypothesis.given(t=st.lists(st.floats(1 / 64, 63 / 64, width=32), min_size=6, max_size=6))
def test_target_and_conversion_invert_each_other(prediction, t):
    x0, noise = latents_and_noise()
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.float32(t).reshape(3, 2))
    x = alpha[..., None, None] * x0 + sigma[..., None, None] * noise
    target = prediction.target(x0, noise, alpha, sigma)
    found = prediction.to_x0(target, x, alpha, sigma)
    np.testing.assert_allclose(found, x0, atol=2e-6 / float(alpha.min()))


@pytest.mark.parametrize('prediction', [Prediction.V, Prediction.X0])
def test_v_and_x0_hold_at_both_ends(prediction):
    x0, noise = latents_and_noise()
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.tile(jnp.float32([0, 1]), (3, 1)))
    x = jnp.where(alpha[..., None, None] == 1, x0, noise)
    target = prediction.target(x0, noise, alpha, sigma)
    np.testing.assert_array_equal(prediction.to_x0(target, x, alpha, sigma), x0)


def test_epsilon_says_nothing_at_pure_noise():
    _, noise = latents_and_noise()
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.ones((3, 2)))
    found = Prediction.EPSILON.to_x0(noise + 1, noise, alpha, sigma)
    assert not np.isfinite(found).any()


def test_the_targets_are_what_their_names_say():
    x0, noise = latents_and_noise()
    alpha, sigma = CosineSchedule().alpha_sigma(jnp.full((3, 2), 1 / 3))
    a, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    v = Prediction.V.target(x0, noise, alpha, sigma)
    np.testing.assert_allclose(v, a * noise - s * x0, atol=1e-6)
    np.testing.assert_array_equal(Prediction.EPSILON.target(x0, noise, alpha, sigma), noise)
    np.testing.assert_array_equal(Prediction.X0.target(x0, noise, alpha, sigma), x0)
