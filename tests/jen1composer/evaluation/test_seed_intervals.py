"""Intervals over seeds against scipy's, and how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from jen1composer.errors import BadInput
from jen1composer.evaluation.seed_intervals import over_seeds, paired


def test_an_interval_is_students():
    values = [1.0, 2.0, 4.0]
    found = over_seeds(values)
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert (found.mean, found.low, found.high) == pytest.approx((7 / 3, low, high))
    assert found.seeds == 3


def test_it_holds_the_truth_nineteen_times_of_twenty():
    draws = np.random.default_rng(0).normal(5.0, 2.0, (2000, 3))
    held = [found.low <= 5 <= found.high for found in map(over_seeds, draws.tolist())]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_what_a_seed_does_to_both_is_not_in_a_difference():
    base = {0: 1.0, 1: 10.0, 2: -7.0}
    found = paired({seed: value + 0.5 for seed, value in base.items()}, base)
    assert found is not None
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))
    assert found.excludes_zero
    assert paired({0: 1.0, 3: 1.0}, base) is None  # one seed in common


def test_one_value_has_no_interval():
    with pytest.raises(BadInput, match='seeds: 1; allowed are 2'):
        over_seeds([1.0])
