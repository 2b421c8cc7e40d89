"""What is measured of the stems of a system, and of a mix, excerpt by excerpt."""

import concurrent.futures
import functools
import operator
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from jen1composer.evaluation import systems
from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.coherence import coherence
from jen1composer.evaluation.embedder import Embedder
from jen1composer.evaluation.levels import levels
from jen1composer.evaluation.log_mel import log_mel, log_mel_distance
from jen1composer.evaluation.rhythm import rhythm
from jen1composer.evaluation.sounds import Sounds
from jen1composer.evaluation.systems import Excerpt, Mix

T = TypeVar('T')
EMBEDDINGS = 'embeddings'


def measure_stem(
    sounds: Sounds, excerpts: Sequence[Excerpt], system: str, track: str, embedder: Embedder
) -> Cell:
    """Of each excerpt `levels` and `log_mel_db`, the distance to the original; [excerpt] rows.

    The array `embeddings` is [excerpt, window, width].
    """

    def measure(excerpt: Excerpt) -> tuple[dict[str, Any], np.ndarray]:
        audio = sounds.read(system, excerpt.name, track)
        original = sounds.read(systems.ORIGINAL, excerpt.name, track)
        found = levels(audio) | {
            'log_mel_db': log_mel_distance(log_mel(original), log_mel(audio)),
        }
        return found, embedder.embed(audio)

    return _cell(_each(measure, excerpts))


def measure_mix(sounds: Sounds, excerpts: Sequence[Excerpt], mix: Mix, embedder: Embedder) -> Cell:
    """Of each excerpt `levels`, `coherence` and `rhythm`; embeddings as of a stem."""

    def measure(excerpt: Excerpt) -> tuple[dict[str, Any], np.ndarray]:
        stems = sounds.stems(mix, excerpt.name)
        audio = functools.reduce(operator.add, stems.values())
        return levels(audio) | coherence(stems) | rhythm(stems), embedder.embed(audio)

    return _cell(_each(measure, excerpts))


def _cell(rows: Sequence[tuple[dict[str, Any], np.ndarray]]) -> Cell:
    return Cell([found for found, _ in rows], {EMBEDDINGS: np.stack([array for _, array in rows])})


def _each(work: Callable[[Excerpt], T], excerpts: Sequence[Excerpt]) -> list[T]:
    """`work` of every excerpt in their order; most of it is done without Python's lock."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, excerpts))
