"""Intervals by the bootstrap over songs: what a figure might have been with other songs.

Excerpts of one song are alike, so songs are drawn and not excerpts (a cluster bootstrap):

(1) draw b = 1..B takes as many songs as there are, with replacement: song i is in it w_bi times
(2) theta_b = the statistic of a set in which each song counts w_bi times
(3) [low, high] = the percentiles 2.5 and 97.5 of theta_1 .. theta_B

w is a function of the seed and the number of songs alone, so two figures of the same songs are
drawn alike, and their differences are paired. Few songs make (3) too narrow: below about ten it is
a hint. Source: Efron and Tibshirani 1993, chapters 8 and 13.

A statistic that is biased by how many different sounds it sees, as a Fréchet distance is, moves in
(2) as a whole, since a draw holds fewer different songs. `centred` takes the percentiles of
theta_b - mean(theta_b) + theta instead.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jen1composer.errors import BadInput

DRAWS = 2000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure and its 95 % interval."""

    mean: float
    low: float
    high: float
    songs: int
    values: int  # excerpts or embeddings

    def json(self) -> dict[str, float]:
        return dataclasses.asdict(self)


def song_weights(num_songs: int, seed: int, draws: int = DRAWS) -> np.ndarray:
    """w of equation (1), int `[draw, song]`."""
    rng = np.random.default_rng((seed, num_songs))
    even = np.full(num_songs, 1 / num_songs)
    return rng.multinomial(num_songs, even, size=draws)


def bootstrap_mean(
    values_by_song: Mapping[str, Sequence[float]], seed: int, draws: int = DRAWS
) -> Interval:
    """The mean over all values, every value counting alike.

    Args:
        values_by_song: song -> values of its excerpts; a song without one is left out.
        seed: of the draws.
        draws: B.

    Raises BadInput where there is no value.
    """
    groups = [np.asarray(v, np.float64) for v in values_by_song.values() if len(v)]
    if not groups:
        raise BadInput('bootstrap: no values; needed is one or more')
    sums = np.array([group.sum() for group in groups])
    counts = np.array([len(group) for group in groups])
    weights = song_weights(len(groups), seed, draws)
    replicates = (weights @ sums) / (weights @ counts)
    low, high = _percentiles(replicates)
    return Interval(
        mean=float(sums.sum() / counts.sum()),
        low=low,
        high=high,
        songs=len(groups),
        values=int(counts.sum()),
    )


def bootstrap(
    num_songs: int,
    statistic: Callable[[np.ndarray], float],
    seed: int,
    *,
    draws: int = DRAWS,
    num_values: int,
    centred: bool = False,
) -> Interval:
    """Any statistic of weighted songs.

    Args:
        num_songs: how many there are.
        statistic: the figure where song i counts `weights[i]` times, `[song]`.
        seed: of the draws.
        draws: B.
        num_values: what the interval says it was taken of.
        centred: see the module docstring.
    """
    point = statistic(np.ones(num_songs))
    replicates = np.array([statistic(w) for w in song_weights(num_songs, seed, draws)])
    low, high = centred_percentiles(point, replicates) if centred else _percentiles(replicates)
    return Interval(mean=point, low=low, high=high, songs=num_songs, values=num_values)


def centred_percentiles(point: float, replicates: np.ndarray) -> tuple[float, float]:
    """Equation (3) of replicates that are moved to lie around `point`."""
    return _percentiles(replicates - replicates.mean() + point)


def _percentiles(replicates: np.ndarray) -> tuple[float, float]:
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(replicates, (tail, 100 - tail))
    return float(low), float(high)
