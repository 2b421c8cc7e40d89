"""Times: a function of (seed, example index), in (0, 1], with the law of their name."""

import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.randomness import uniform_time
from jen1composer.diffusion.time_sampling import LogitNormalTimes, make_time_sampling
from jen1composer.errors import BadInput

INDEX = jnp.arange(4096, dtype=jnp.uint32)
SAMPLINGS = [
    make_time_sampling('uniform', {}),
    make_time_sampling('logit_normal', {}),
    make_time_sampling('logit_normal', {'mean': 10.0, 'deviation': 10.0}),
    make_time_sampling('logit_normal', {'mean': -10.0, 'deviation': 10.0}),
]


@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_times_are_in_the_interval_that_ends_in_one(sampling):
    t = np.asarray(sampling.times(0, INDEX))
    assert t.shape == INDEX.shape
    assert t.min() > 0
    assert t.max() <= 1


@pytest.mark.parametrize('sampling', SAMPLINGS)
def test_times_do_not_depend_on_the_batch_but_on_the_seed(sampling):
    t = np.asarray(sampling.times(3, INDEX))
    np.testing.assert_array_equal(sampling.times(3, INDEX[700:710]), t[700:710])
    assert (np.asarray(sampling.times(4, INDEX)) != t).mean() > 0.5


@pytest.mark.parametrize(('mean', 'deviation'), [(0.0, 1.0), (-0.5, 1.3)])
def test_the_logit_is_normal(mean, deviation):
    t = np.asarray(LogitNormalTimes(mean=mean, deviation=deviation).times(0, INDEX), np.float64)
    logit = (np.log(t / (1 - t)) - mean) / deviation
    assert abs(logit.mean()) < 0.06  # 4 standard errors
    assert abs(logit.std() - 1) < 0.05
    assert abs((logit**4).mean() - 3) < 0.6  # 4 standard errors


def test_uniform_is_the_time_of_randomness():
    found = make_time_sampling('uniform', {}).times(7, INDEX)
    np.testing.assert_array_equal(found, uniform_time(7, INDEX))


@pytest.mark.parametrize(
    ('name', 'parameters', 'said'),
    [
        ('normal', {}, "time_sampling: 'normal'; allowed are uniform, logit_normal"),
        ('logit_normal', {'std': 1.0}, "'std'; allowed are mean, deviation"),
        ('logit_normal', {'deviation': 0.0}, 'deviation: 0.0; allowed is above 0'),
        ('logit_normal', {'mean': float('nan')}, 'mean: nan; allowed is -10 to 10'),
    ],
)
def test_what_is_not_there_is_refused_by_name(name, parameters, said):
    with pytest.raises(BadInput, match=said):
        make_time_sampling(name, parameters)
