"""Trials: all pairs once, some twice and swapped, and nothing to be learnt from order or side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.serving.listening.trials import num_repeats, trials_of


@given(num_pairs=st.integers(1, 40), seed=st.integers(0, 99), listener=st.text(max_size=9))
def test_every_pair_comes_once_and_some_again_swapped_in_the_second_half(num_pairs, seed, listener):
    trials = trials_of(listener, num_pairs, seed)
    assert trials == trials_of(listener, num_pairs, seed)
    once = [trial for trial in trials if not trial.repeat]
    again = [trial for trial in trials if trial.repeat]
    assert sorted(trial.pair for trial in once) == list(range(num_pairs))
    assert len(again) == num_repeats(num_pairs)
    half = (num_pairs + 1) // 2
    for repeat in again:
        (before,) = (trial for trial in once if trial.pair == repeat.pair)
        assert trials.index(before) < half <= trials.index(repeat)
        assert before.b_first != repeat.b_first


@pytest.mark.parametrize('num_pairs', [4, 10])
def test_sides_and_orders_are_fair_and_listeners_differ(num_pairs):
    drawn = [trials_of(f'listener {k}', num_pairs, 0) for k in range(600)]
    b_first = np.array([[t.b_first for t in trials if not t.repeat] for trials in drawn])
    np.testing.assert_allclose(b_first.mean(axis=0), 0.5, atol=0.08)
    assert abs(np.corrcoef(b_first[:, 0], b_first[:, 1])[0, 1]) < 0.15
    first = np.bincount([trials[0].pair for trials in drawn], minlength=num_pairs)
    np.testing.assert_allclose(first / len(drawn), 1 / num_pairs, atol=0.07)


def test_the_seed_changes_them():
    assert trials_of('x', 10, 0) != trials_of('x', 10, 1)


def test_a_side_is_first_or_second():
    for trial in trials_of('x', 8, 0):
        assert {trial.side('first'), trial.side('second')} == {'a', 'b'}
        assert trial.side('first') == ('b' if trial.b_first else 'a')
