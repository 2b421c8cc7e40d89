"""Preference and agreement: published examples, symmetries, coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.evaluation.preference import (
    bootstrap_interval,
    krippendorff_alpha,
    preference,
    wilson_interval,
)

_ = np.nan

# Krippendorff 2011, examples A (binary), B (nominal, ten values) and C (four observers, missing).
BINARY = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
NOMINAL = [list(map(ord, letters)) for letters in ('aabbdcccedda', 'babbbccceddd')]
MISSING = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]


def answers(seed: int, listeners: int, pairs: int, missing: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scores = rng.choice([0, 0.5, 1], (listeners, pairs), p=(0.3, 0.2, 0.5))
    return np.where(rng.random(scores.shape) < missing, np.nan, scores)


@pytest.mark.parametrize(('values', 'alpha'), [(BINARY, 0.095), (NOMINAL, 0.692), (MISSING, 0.743)])
def test_alpha_of_the_published_examples(values, alpha):
    assert krippendorff_alpha(np.array(values)) == pytest.approx(alpha, abs=5e-4)


def test_alpha_is_1_where_all_agree_and_0_by_chance():
    same = np.tile([0, 1, 0.5, 1], (5, 1))
    assert krippendorff_alpha(same) == 1
    assert krippendorff_alpha(answers(0, 20, 500)) == pytest.approx(0, abs=0.02)
    assert krippendorff_alpha(np.array([[0, 1], [1, 0]])) < 0


def test_alpha_is_none_where_nothing_could_disagree():
    assert krippendorff_alpha(np.ones((3, 4))) is None
    assert krippendorff_alpha(np.array([[0, _], [_, 1]])) is None
    assert krippendorff_alpha(np.zeros((0, 0))) is None


@given(seed=st.integers(0, 99), listeners=st.integers(2, 5), pairs=st.integers(2, 8))
def test_alpha_heeds_neither_order_nor_names_nor_lone_answers(seed, listeners, pairs):
    values = answers(seed, listeners, pairs)
    alpha = krippendorff_alpha(values)
    rng = np.random.default_rng(seed)
    shuffled = values[rng.permutation(listeners)][:, rng.permutation(pairs)]
    lone = np.full((listeners, 1), np.nan)
    lone[0] = 1
    for same in (shuffled, 7 - 3 * values, np.hstack([values, lone])):
        assert krippendorff_alpha(same) == (None if alpha is None else pytest.approx(alpha))


@given(seed=st.integers(0, 99), listeners=st.integers(1, 6), pairs=st.integers(1, 6))
def test_swapping_the_systems_swaps_the_ratio(seed, listeners, pairs):
    scores = answers(seed, listeners, pairs)
    found, swapped = (preference(x, seed=seed) for x in (scores, 1 - scores))
    if found is None:
        assert swapped is None
        return
    assert swapped.ratio == pytest.approx(1 - found.ratio)
    assert (swapped.low, swapped.high) == pytest.approx((1 - found.high, 1 - found.low))
    assert (swapped.for_a, swapped.for_b, swapped.ties) == (found.for_b, found.for_a, found.ties)
    assert found.low <= found.ratio <= found.high
    assert found.answers == found.for_a + found.for_b + found.ties == (~np.isnan(scores)).sum()


def test_ties_count_half_and_missing_not_at_all():
    found = preference(np.array([[1, 0.5, _], [1, 0, _]]), seed=0)
    assert found.ratio == pytest.approx(2.5 / 4)
    assert found.method == 'bootstrap'
    assert preference(np.array([[1, 0.5, _]]), seed=0).method == 'wilson'
    assert preference(np.full((2, 2), np.nan), seed=0) is None


def test_wilson_of_a_known_case():
    # Of 10 answers 8: .490 to .943 (Newcombe 1998's method 3).
    assert wilson_interval(0.8, 10) == pytest.approx((0.490, 0.943), abs=1e-3)
    low, high = wilson_interval(1.0, 5)
    assert high == 1 and 0.5 < low < 0.6  # noqa: PT018
    assert wilson_interval(0.5, 1000) == pytest.approx((0.469, 0.531), abs=1e-3)


def test_unanimous_listeners_leave_no_doubt_and_more_of_them_less():
    assert bootstrap_interval(np.ones((4, 5)), seed=0) == (1, 1)
    few, many = (np.ptp(bootstrap_interval(answers(1, n, n), seed=0)) for n in (6, 40))
    assert many < few / 2


def test_listeners_who_differ_widen_it_though_there_are_many_pairs():
    decided = np.tile(np.array([[0.0], [1.0], [1.0], [0.0]]), (1, 200))
    low, high = bootstrap_interval(decided, seed=0)
    assert low < 0.1
    assert high > 0.9


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = []
    for seed in range(150):
        low, high = bootstrap_interval(answers(seed, 12, 12), seed=seed, draws=500)
        covered.append(low <= 0.6 <= high)  # .5 + half of the .2 that are ties
    assert np.mean(covered) > 0.9


def test_the_interval_is_that_of_its_seed():
    scores = answers(3, 5, 8)
    assert preference(scores, seed=1) == preference(scores, seed=1)
    assert preference(scores, seed=1) != preference(scores, seed=2)


def test_what_is_no_score_is_refused():
    with pytest.raises(ValueError, match='a score is'):
        preference(np.array([[0.7]]), seed=0)
