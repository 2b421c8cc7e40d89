"""Weightings: min-SNR is the same loss for every kind of prediction, and the paper's formulas."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import SCHEDULES, make_schedule
from jen1composer.diffusion.weighting import WEIGHTINGS, MinSNRWeighting, make_weighting
from jen1composer.errors import BadInput

schedules = pytest.mark.parametrize('schedule', [make_schedule(name) for name in SCHEDULES])
predictions = pytest.mark.parametrize('prediction', list(Prediction))
inside = st.floats(2**-10, 1 - 2**-10)


@schedules
@predictions
@hypothesis.given(t=inside, gamma=st.floats(0.5, 20), error=st.floats(0.1, 2))
def test_min_snr_weighs_the_error_of_x0_by_the_clipped_snr(schedule, prediction, t, gamma, error):
    """The error that an error of x_0 makes of the output is found by converting, not by formula."""
    with jax.enable_x64(True):
        alpha, sigma = schedule.alpha_sigma(jnp.full((1, 1), t))
        x = jnp.full((1, 1, 1, 1), 0.4)
        outputs = jnp.array([0.0, 1.0])
        x0 = [prediction.to_x0(jnp.full_like(x, y), x, alpha, sigma).item() for y in outputs]
        output_error = error / (x0[1] - x0[0])
        weight = MinSNRWeighting(gamma=gamma).weight(alpha, sigma, prediction).item()
        snr = (alpha / sigma).item() ** 2
    np.testing.assert_allclose(weight * output_error**2, min(snr, gamma) * error**2, rtol=1e-8)


@hypothesis.given(t=inside)
def test_min_snr_is_the_papers_where_the_variance_is_preserved(t):
    alpha, sigma = make_schedule('cosine').alpha_sigma(jnp.float32([t]))
    snr = (np.cos(np.pi * t / 2) / np.sin(np.pi * t / 2)) ** 2
    clipped = min(snr, 5.0)
    weighting = make_weighting('min_snr', {'gamma': 5.0})
    for prediction, expected in (
        (Prediction.X0, clipped),
        (Prediction.EPSILON, clipped / snr),
        (Prediction.V, clipped / (snr + 1)),
    ):
        found = weighting.weight(alpha, sigma, prediction)
        np.testing.assert_allclose(found, [expected], rtol=1e-3)


@schedules
@predictions
@pytest.mark.parametrize('name', WEIGHTINGS)
def test_weights_are_finite_up_to_both_ends(schedule, prediction, name):
    t = jnp.float32([0, 2**-23, 0.5, 1 - 2**-23, 1])
    weight = make_weighting(name, {}).weight(*schedule.alpha_sigma(t), prediction)
    assert weight.shape == t.shape
    assert np.isfinite(weight).all()
    assert (weight >= 0).all()
    assert (weight <= 5).all()


def test_min_snr_has_its_limits_at_the_ends():
    weight = MinSNRWeighting(gamma=5.0).weight
    one, zero = jnp.ones(1), jnp.zeros(1)
    np.testing.assert_allclose(weight(zero, one, Prediction.EPSILON), 1)
    np.testing.assert_allclose(weight(one, zero, Prediction.X0), 5)


def test_uniform_weights_are_one():
    alpha, sigma = jnp.float32([0.0, 0.6, 1.0]), jnp.float32([1.0, 0.8, 0.0])
    for prediction in Prediction:
        found = make_weighting('uniform', {}).weight(alpha, sigma, prediction)
        np.testing.assert_array_equal(found, [1, 1, 1])


@pytest.mark.parametrize(
    ('name', 'parameters', 'said'),
    [
        ('snr', {}, "weighting: 'snr'; allowed are uniform, min_snr"),
        ('min_snr', {'gama': 5.0}, "weighting min_snr: 'gama'; allowed are gamma"),
        ('uniform', {'gamma': 5.0}, "weighting uniform: 'gamma'; allowed are none"),
        ('min_snr', {'gamma': 0.0}, 'weighting min_snr gamma: 0.0; allowed is above 0'),
    ],
)
def test_what_is_not_there_is_refused_by_name(name, parameters, said):
    with pytest.raises(BadInput, match=said):
        make_weighting(name, parameters)
