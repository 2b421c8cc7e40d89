"""Fréchet distances of a system to the originals, as JSON.

They are between the windows of all excerpts under one embedder, with intervals as `frechet` has
them.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation.frechet import distance_interval, frechet_distance, moments
from jen1composer.evaluation.systems import Excerpt


def by_song(excerpts: Sequence[Excerpt], rows: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """`[window, width]` of every excerpt as `[row, width]` by song."""
    found: dict[str, list[np.ndarray]] = {}
    for excerpt, of_excerpt in zip(excerpts, rows, strict=True):
        found.setdefault(excerpt.song, []).append(of_excerpt)
    return {song: np.concatenate(of_song) for song, of_song in found.items()}


def distance(
    excerpts: Sequence[Excerpt], rows: Iterable[np.ndarray], reference: Iterable[np.ndarray]
) -> dict[str, Any]:
    """Fréchet distance of every excerpt's `[window, width]` to those of the originals, as JSON.

    `short` says that a covariance needs more samples than there were, and was shrunk.
    """
    to = moments(np.concatenate([*reference]))
    of_songs = by_song(excerpts, rows)
    found = distance_interval(of_songs, to)
    samples = sum(map(len, of_songs.values()))
    short = to.short or samples <= to.width
    return {'interval': list(found), 'samples': samples, 'width': to.width, 'short': short}


def half_to_half(excerpts: Sequence[Excerpt], original: np.ndarray) -> dict[str, Any]:
    """Distance between the songs of even and of odd places: real music, of half the samples."""
    songs = list(by_song(excerpts, original).values())
    halves = [moments(np.concatenate(songs[parity::2])) for parity in (0, 1)]
    return {
        'distance': frechet_distance(*halves),
        'samples': min(half.count for half in halves),
        'width': halves[0].width,
        'short': any(half.short for half in halves),
    }
