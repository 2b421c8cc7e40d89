"""The Fréchet distance: closed forms, invariances, and what few rows do to it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation import frechet
from jen1composer.evaluation.frechet import Moments, frechet_distance, moments, pool, song_moments

seeds = st.integers(0, 2**32)
widths = st.integers(2, 12)


def gaussian(rng, width, rank=None):
    root = rng.normal(size=(width, rank or width)) * np.exp(rng.normal(size=(width, 1)))
    return Moments(count=10**6, mean=rng.normal(size=width), covariance=root @ root.T)


def diagonal(mean, deviation):
    return Moments(
        count=10**6, mean=np.asarray(mean), covariance=np.diag(np.square(np.asarray(deviation)))
    )


def size(*sets):
    return sum(np.trace(found.covariance) + found.mean @ found.mean for found in sets)


@given(seeds, widths)
def test_of_independent_channels_it_is_the_distance_of_means_and_deviations(seed, width):
    rng = np.random.default_rng(seed)
    means, deviations = rng.normal(size=(2, width)), rng.exponential(size=(2, width))
    found = frechet_distance(*map(diagonal, means, deviations))
    expected = np.sum((means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@given(seeds, widths)
def test_it_is_symmetric_and_0_only_of_the_same(seed, width):
    rng = np.random.default_rng(seed)
    a, b = gaussian(rng, width), gaussian(rng, width)
    assert frechet_distance(a, b) > 1e-6 * size(a, b)
    np.testing.assert_allclose(frechet_distance(a, b), frechet_distance(b, a), rtol=1e-6)
    assert 0 <= frechet_distance(a, a) < 1e-9 * size(a)


@given(seeds, widths)
def test_its_root_obeys_the_triangle(seed, width):
    rng = np.random.default_rng(seed)
    a, b, c = (gaussian(rng, width) for _ in range(3))
    sides = np.sqrt([frechet_distance(*pair) for pair in ((a, b), (b, c), (a, c))])
    assert sides[2] <= sides[0] + sides[1] + 1e-6 * np.sqrt(size(a, b, c))


@given(seeds, widths, st.floats(0.01, 100))
def test_turning_and_moving_change_nothing_and_a_gain_is_squared(seed, width, gain):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3 * width, width)) * np.exp(rng.normal(size=(2, 1, width)))
    distance = frechet_distance(moments(x), moments(y))
    turn, _ = np.linalg.qr(rng.normal(size=(width, width)))
    shift = rng.normal(size=width)
    moved = frechet_distance(moments(x @ turn + shift), moments(y @ turn + shift))
    np.testing.assert_allclose(moved, distance, rtol=1e-7)
    louder = frechet_distance(moments(gain * x), moments(gain * y))
    np.testing.assert_allclose(louder, gain**2 * distance, rtol=1e-7)


@given(seeds, widths)
def test_flat_sets_have_a_distance_too(seed, width):
    rng = np.random.default_rng(seed)
    a, b = gaussian(rng, width, rank=1), gaussian(rng, width, rank=1)
    # Of rank 1 the last trace is |u . v| where S_a = u u^T and S_b = v v^T.
    product = np.trace(a.covariance @ b.covariance)
    shift = np.sum((a.mean - b.mean) ** 2)
    expected = shift + np.trace(a.covariance + b.covariance) - 2 * np.sqrt(product)
    np.testing.assert_allclose(frechet_distance(a, b), expected, atol=1e-6 * size(a, b))


def test_moments_are_those_of_numpy():
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) + 1000
    found = moments(x)
    assert (found.count, found.width, found.short, found.shrinkage) == (50, 4, False, 0)
    np.testing.assert_allclose(found.mean, x.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(found.covariance, np.cov(x.T.astype(np.float64)))


@given(seeds, st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_moments_add_up(seed, counts):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(count, 3)) + 5 * rng.normal(size=3) for count in counts]
    found = pool([song_moments(part) for part in parts])
    expected = moments(np.concatenate(parts), shrink=False)
    assert found.count == expected.count
    np.testing.assert_allclose(found.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-10)


def test_fewer_rows_than_a_covariance_needs_are_said_and_shrunk():
    x = np.random.default_rng(0).normal(size=(8, 8))
    found = moments(x)
    assert found.short
    assert 0 < found.shrinkage <= 1
    assert np.linalg.matrix_rank(found.covariance) == 8
    left = moments(x, shrink=False)
    assert (left.short, left.shrinkage) == (True, 0)
    assert np.linalg.matrix_rank(left.covariance) == 7
    np.testing.assert_allclose(np.trace(found.covariance), np.trace(left.covariance))
    enough = moments(np.concatenate([x, x[:1] + 1]))
    assert (enough.short, enough.shrinkage) == (False, 0)


def test_shrinking_ends_at_a_ball_and_at_nothing():
    rng = np.random.default_rng(0)
    ball = moments(rng.normal(size=(4, 30)))
    np.testing.assert_allclose(
        ball.covariance, np.eye(30) * np.trace(ball.covariance) / 30, atol=0.1
    )
    assert ball.shrinkage > 0.9
    long = moments(rng.normal(size=(20_000, 3)) * [1, 10, 100], shrink=True)
    assert long.shrinkage < 1e-3
    equal = frechet.shrunk(diagonal([0, 0], [2, 2]))
    np.testing.assert_allclose(equal.covariance, 4 * np.eye(2))


def test_shrinking_brings_a_covariance_of_few_rows_nearer():
    deviation = np.linspace(0.5, 2, 20)
    truth = diagonal(np.zeros(20), deviation)

    def error(shrink, seed):
        rows = np.random.default_rng(seed).normal(size=(12, 20)) * deviation
        return np.linalg.norm(moments(rows, shrink=shrink).covariance - truth.covariance)

    assert np.mean([error(True, i) for i in range(20)]) < 0.7 * np.mean(
        [error(False, i) for i in range(20)]
    )


def test_the_distance_from_the_truth_falls_with_the_rows():
    truth = diagonal(np.zeros(10), np.ones(10))
    rng = np.random.default_rng(0)
    distances = [
        np.mean([frechet_distance(moments(rng.normal(size=(n, 10))), truth) for _ in range(10)])
        for n in (50, 200, 800)
    ]
    # Of n rows it is close to (D + D (D + 1) / 4) / n: of the mean, and a quarter of |S - I|^2.
    np.testing.assert_allclose(distances, (10 + 110 / 4) / np.array([50, 200, 800]), rtol=0.15)


def songs(seed, count=12, shift=0.5, gain=1.5):
    rng = np.random.default_rng(seed)
    draw = rng.normal(size=(count, 1, 4)) + rng.normal(size=(count, 5, 4))
    return {f'{i}': shift + gain * rows / np.sqrt(2) for i, rows in enumerate(draw)}


BALL = diagonal(np.zeros(4), np.ones(4))


def test_the_interval_is_that_of_as_many_songs():
    found = [frechet.distance_interval(songs(seed), BALL) for seed in range(60)]
    of_twelve = np.mean([interval.mean for interval in found])
    many = frechet.distance_interval(songs(0, count=400), BALL)
    assert of_twelve > 1.2 * many.mean  # few songs lie further off, and are not shown for less
    assert np.mean([low <= of_twelve <= high for _, low, high in found]) > 0.85
    assert many.high - many.low < 0.4 * np.mean([high - low for _, low, high in found])


@pytest.mark.parametrize('count', [3, 12])
def test_an_interval_is_about_the_distance_shrunk_or_not(count):
    some = {name: rows[:1] for name, rows in songs(0, count).items()}
    expected = moments(np.concatenate([*some.values()]))
    assert (expected.shrinkage > 0) == (count == 3)
    found = frechet.distance_interval(dict(reversed(some.items())), BALL)
    np.testing.assert_allclose(found.mean, frechet_distance(expected, BALL))


def test_bad_input_is_named():
    rows = np.zeros((3, 2))
    with pytest.raises(BadInput, match='embeddings: rows: 1; allowed are 2 and more'):
        moments(rows[:1])
    with pytest.raises(BadInput, match=r'embeddings: shape: \(3,\); allowed is \[row, width\]'):
        moments(rows[:, 0])
    with pytest.raises(BadInput, match='not finite: 6; allowed are none'):
        moments(rows + np.nan)
    with pytest.raises(BadInput, match=r'embeddings: shape: \(0, 2\); allowed .* one row and more'):
        song_moments(rows[:0])
    with pytest.raises(BadInput, match=r'moments: widths: \(2, 1\); allowed are equal'):
        frechet_distance(moments(rows), moments(rows[:, :1]))
    with pytest.raises(BadInput, match=r'moments: widths: \[1, 2\]; allowed are equal'):
        pool([moments(rows), moments(rows[:, :1])])
    with pytest.raises(BadInput, match=r'to be pooled: shrinkage: 1\.0; allowed is 0'):
        pool([moments(rows, shrink=True)])
    with pytest.raises(BadInput, match='songs: 1; allowed are 2 and more'):
        frechet.distance_interval({'a': rows}, moments(rows))
