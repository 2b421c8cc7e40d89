"""Intervals over songs: they cover, repeat, and know rows of one song from songs."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.evaluation.intervals import bootstrap, jackknife


def songs(count, seed=0, rows=3):
    rng = np.random.default_rng(seed)
    return {f'song {i}': rng.normal(size=1) + rng.normal(size=rows) for i in range(count)}


def test_an_interval_repeats_whatever_the_order_of_songs():
    values = songs(6)
    interval = bootstrap(values, seed=3, draws=200)
    assert interval == bootstrap(dict(reversed(values.items())), seed=3, draws=200)
    assert interval == bootstrap(list(values.values()), seed=3, draws=200)
    assert interval != bootstrap(values, seed=4, draws=200)
    assert interval.low < interval.mean == np.mean([*values.values()]) < interval.high


def test_the_mean_is_a_statistic_like_any_other():
    values = [np.arange(k, 3 * k + 2).reshape(-1, 2) for k in (1, 2, 4, 8)]  # of several lengths
    mean = bootstrap(values, seed=5, draws=100)
    np.testing.assert_allclose(mean, bootstrap(values, lambda x: x.mean(), seed=5, draws=100))
    assert mean.low < mean.high


def test_of_two_songs_the_draws_are_those_that_there_are():
    # 0 0 | 0 1, 1 0 | 1 1: means 0, 1/2, 1/2 and 1, with shares 1/4, 1/2, 1/4.
    assert bootstrap([0.0, 1.0], level=0.4) == (0.5, 0.5, 0.5)
    assert bootstrap([0.0, 1.0], level=0.6) == (0.5, 0.0, 1.0)


def test_the_width_is_that_of_the_mean_of_songs():
    values = np.random.default_rng(0).normal(size=200)
    interval = bootstrap(list(values), draws=2000)
    half = 1.96 * values.std() / np.sqrt(200)
    np.testing.assert_allclose(
        interval[1:], values.mean() + half * np.array([-1, 1]), atol=0.06 * half
    )


def test_rows_of_a_song_are_not_songs():
    values = songs(8, rows=1)
    repeated = {name: np.repeat(rows, 50) for name, rows in values.items()}
    np.testing.assert_allclose(bootstrap(repeated), bootstrap(values), atol=1e-12)
    alone = bootstrap(np.concatenate([*repeated.values()]))
    assert alone.high - alone.low < 0.3 * (bootstrap(values).high - bootstrap(values).low)


@pytest.mark.parametrize('interval', [lambda *a: bootstrap(*a, draws=100), jackknife])
def test_it_holds_the_truth_about_as_often_as_it_says(interval):
    intervals = [interval(songs(20, seed), np.mean) for seed in range(120)]
    covered = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert 0.85 < covered < 0.99


def test_the_jackknife_of_a_mean_is_students_interval():
    values = np.random.default_rng(0).normal(size=12)
    half = 2.200985 * values.std(ddof=1) / np.sqrt(12)  # of a table: 11 degrees, 97.5 %
    expected = values.mean() + half * np.array([0, -1, 1])
    np.testing.assert_allclose(jackknife(list(values), np.mean), expected, rtol=1e-6)


def test_the_jackknife_is_about_the_figure_of_as_many_songs():
    def biased(rows):  # by a half of its variance / n: 0 would be right
        return np.mean(rows) ** 2

    values = [songs(10, seed, rows=1) for seed in range(200)]
    of_ten = np.mean([biased(np.concatenate([*v.values()])) for v in values])
    assert of_ten > 0.1
    covered = [low <= of_ten <= high for _, low, high in (jackknife(v, biased) for v in values)]
    assert np.mean(covered) > 0.85


def test_a_statistic_takes_rows_of_any_shape():
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(rows, 2, 5)) for rows in (1, 4, 2)]
    gap = bootstrap(values, lambda rows: np.abs(rows[:, 0] - rows[:, 1]).mean(), draws=50)
    assert 0 < gap.low <= gap.mean <= gap.high


def test_what_is_hard_about_a_song_cancels_in_differences():
    first = songs(5)
    second = {name: rows - 0.25 for name, rows in reversed(first.items())}
    differences = {name: rows - second[name] for name, rows in first.items()}
    np.testing.assert_allclose(bootstrap(differences, draws=50), [0.25] * 3)
    unpaired = bootstrap(first)
    assert unpaired.high - unpaired.low > 0.5


def test_bad_input_is_named():
    with pytest.raises(BadInput, match='interval: songs: 1; allowed are 2 and more'):
        bootstrap({'a': [1.0, 2.0]})
    with pytest.raises(BadInput, match='interval: songs: 1; allowed are 2 and more'):
        jackknife({'a': [1.0, 2.0]}, np.mean)
    with pytest.raises(BadInput, match=r'rows of song b: \(0,\); allowed are one and more'):
        bootstrap({'a': [1.0], 'b': []})
    with pytest.raises(BadInput, match=r'rows of song b: \(1,\); allowed .* all finite'):
        bootstrap({'a': 1.0, 'b': np.nan})
    with pytest.raises(BadInput, match='bootstrap: draws: 0'):
        bootstrap([1.0, 2.0], draws=0)
    with pytest.raises(BadInput, match='interval: level: 95'):
        bootstrap([1.0, 2.0], level=95)
