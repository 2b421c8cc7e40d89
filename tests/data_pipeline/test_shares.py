"""Shares: weights sum to 1 whatever the scale, and what has no weight is never drawn."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.shares import are_shares, is_number, pick, weights

LARGEST = sys.float_info.max
ROWS = st.lists(st.floats(0, LARGEST), min_size=1, max_size=8).filter(any).map(tuple)


@given(ROWS)
def test_weights_are_in_proportion_and_sum_to_one(shares):
    found = weights(shares)
    assert math.isclose(found.sum(), 1, rel_tol=1e-15 * len(shares))
    largest = int(np.argmax(shares))
    for share, weight in zip(shares, found, strict=True):
        assert weight == pytest.approx(share / shares[largest] * found[largest], rel=1e-14)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any), st.integers(-900, 900))
def test_a_power_of_two_changes_no_bit(shares, exponent):
    scaled = tuple(math.ldexp(share, exponent) for share in shares)
    np.testing.assert_array_equal(weights(scaled), weights(tuple(shares)))
    np.testing.assert_array_equal(weights(scaled), np.array(shares) / sum(shares))


@given(ROWS, st.floats(0, 1, exclude_max=True))
def test_the_one_drawn_is_where_u_falls_and_can_happen(shares, u):
    found = weights(shares)
    k = pick(found, u)
    assert found[k] > 0
    ends = np.cumsum(found)
    assert u >= (ends[k - 1] if k else 0)
    assert u < ends[k] or not found[k + 1 :].any()


def test_what_rounding_leaves_falls_to_the_last_that_can_happen():
    tenths = np.array([0.1] * 10 + [0.0])
    just_below_one = np.nextafter(1, 0)
    assert np.cumsum(tenths)[-1] <= just_below_one
    assert pick(tenths, just_below_one) == 9
    assert pick(np.array([0.0, 1.0]), 0.0) == 1


@pytest.mark.parametrize(
    'values',
    [
        (),
        (1, 1),
        (0, 0, 0),
        (1, -1, 1),
        (1, math.nan, 1),
        (1, math.inf, 1),
        (1, 10**400, 1),
        ('1', 1, 1),
        (True, 1, 1),
        (None, 1, 1),
        [1, 1, 1],
        1.0,
    ],
)
def test_what_are_no_shares(values):
    assert not are_shares(values, 3)


def test_what_are_shares():
    assert are_shares((0, 0.5, LARGEST), 3)
    assert is_number(-1)
    assert not is_number(True)
