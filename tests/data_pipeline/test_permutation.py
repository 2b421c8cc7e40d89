"""Permutations: each entry once, for every size, and any order as often as another."""

import collections
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.permutation import permuted

SEED = st.integers(0, 2**31 - 1)


@given(st.integers(1, 3000), SEED, st.integers(0, 99))
def test_each_entry_comes_once(size, seed, epoch):
    assert sorted(permuted(i, size, seed, epoch) for i in range(size)) == list(range(size))


def test_sizes_around_powers_of_two():
    for size in (1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 1023, 1024, 1025):
        assert sorted(permuted(i, size, 7) for i in range(size)) == list(range(size))


def test_it_is_what_it_was():
    """Another order would give resumed runs other examples."""
    assert [permuted(i, 10, 3, 1, 4) for i in range(10)] == [0, 8, 4, 7, 2, 9, 1, 6, 3, 5]
    assert permuted(10**9, 4 * 10**9, 3, 1, 4) == 3945041653


def test_all_orders_of_four_are_alike():
    """Chi-square over the 24 orders: 23 degrees of freedom, mean 23, deviation 6.8."""
    drawn = collections.Counter(
        tuple(permuted(i, 4, seed, epoch) for i in range(4))
        for seed in range(40)
        for epoch in range(60)
    )
    assert len(drawn) == 24
    expected = 2400 / 24
    assert sum((count - expected) ** 2 / expected for count in drawn.values()) < 23 + 4 * 6.8


def test_places_and_neighbours_are_uncorrelated_with_what_comes():
    """Of 4000 entries, over seeds: where one lies says nothing of it, nor of the one beside it."""
    size = 4000
    for seed in range(5):
        order = np.array([permuted(i, size, seed) for i in range(size)])
        for left, right in ((np.arange(size), order), (order[:-1], order[1:])):
            assert abs(np.corrcoef(left, right)[0, 1]) < 4 / np.sqrt(size)
        assert (order == np.arange(size)).sum() < 8  # about one stays where it was


def test_seeds_in_another_order_or_number_are_other_seeds():
    seeds = [(1, 2), (2, 1), (1, 2, 0), (0, 1, 2), (1,), (2,), (3,)]
    orders = [tuple(permuted(i, 50, *of) for i in range(50)) for of in seeds]
    assert len(set(orders)) == len(seeds)
    for one, other in itertools.combinations(orders, 2):
        assert sum(a == b for a, b in zip(one, other, strict=True)) < 8


def test_what_is_not_among_them_is_an_error():
    for index in (-1, 5):
        with pytest.raises(IndexError):
            permuted(index, 5, 0)
