"""What is measured of the stems of a system, and of a mix, excerpt by excerpt."""

import concurrent.futures
import dataclasses
import functools
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from jen1composer.evaluation import systems
from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.coherence import chroma, coherence_of
from jen1composer.evaluation.embedder import Embedder
from jen1composer.evaluation.levels import levels
from jen1composer.evaluation.log_mel import log_mel, log_mel_distance
from jen1composer.evaluation.onsets import onset_strength
from jen1composer.evaluation.onsets import sounds as is_heard
from jen1composer.evaluation.rhythm import beats_of, rhythm_of
from jen1composer.evaluation.sounds import Sounds
from jen1composer.evaluation.systems import Excerpt, Mix
from jen1composer.evaluation.track_tags import tag_vector

T = TypeVar('T')
EMBEDDINGS, TAGS, ONSETS, CHROMA = 'embeddings', 'tags', 'onsets', 'chroma'
Row = tuple[dict[str, Any], dict[str, np.ndarray]]  # of an excerpt: JSON and arrays


class Tagger(Protocol):
    """What `track_tags` hears with: musicnn."""

    @property
    def fingerprint(self) -> str: ...

    def hear(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ears:
    """What sounds are heard with; without a tagger no tags are known."""

    embedder: Embedder
    tagger: Tagger | None

    @property
    def fingerprint(self) -> str:
        return f'{self.embedder.fingerprint} {self.tagger.fingerprint if self.tagger else ""}'

    def hear(self, audio: np.ndarray) -> dict[str, np.ndarray]:
        """Embeddings `[window, width]` and tags `[tag]`."""
        if self.tagger is None:
            return {EMBEDDINGS: self.embedder.embed(audio)}
        embeddings, probabilities = self.tagger.hear(audio)
        if self.tagger is not self.embedder:  # else once is enough
            embeddings = self.embedder.embed(audio)
        return {EMBEDDINGS: embeddings, TAGS: tag_vector(probabilities)}


def measure_stem(
    sounds: Sounds, excerpts: Sequence[Excerpt], system: str, track: str, ears: Ears
) -> Cell:
    """What a stem is by itself, so that it is heard once for all the mixes it is in.

    A row per excerpt: `levels`, `log_mel_db` (the distance to the original), `sounds`, `beats_s`.
    Arrays: embeddings `[excerpt, window, width]`, tags `[excerpt, tag]`, onsets `[excerpt, frame]`,
    chroma `[excerpt, frame, pitch class]`; the last two tell nothing where it does not sound.
    """

    def measure(excerpt: Excerpt) -> Row:
        audio = sounds.read(system, excerpt.name, track)
        original = sounds.read(systems.ORIGINAL, excerpt.name, track)
        heard = is_heard(audio)
        onsets = onset_strength(audio)  # of silence it is 0 or rounding, and not counted
        found = levels(audio) | {
            'log_mel_db': log_mel_distance(log_mel(original), log_mel(audio)),
            'sounds': heard,
            'beats_s': beats_of(onsets).tolist() if heard else [],
        }
        return found, ears.hear(audio) | {ONSETS: onsets, CHROMA: chroma(audio)}

    return _cell(_each(measure, excerpts))


def measure_mix(sounds: Sounds, excerpts: Sequence[Excerpt], mix: Mix, embedder: Embedder) -> Cell:
    """A row per excerpt, `levels` of the sum; embeddings as of a stem."""

    def measure(excerpt: Excerpt) -> Row:
        audio = functools.reduce(operator.add, sounds.stems(mix, excerpt.name).values())
        return levels(audio), {EMBEDDINGS: embedder.embed(audio)}

    return _cell(_each(measure, excerpts))


def measure_training(sounds: Sounds, excerpts: Sequence[Excerpt], track: str, ears: Ears) -> Cell:
    """What stems of training songs are heard as; there is nothing to compare them with."""

    def measure(excerpt: Excerpt) -> Row:
        return {}, ears.hear(sounds.read(systems.TRAINING, excerpt.name, track))

    return _cell(_each(measure, excerpts))


def heard_together(mix: Mix, stems: Mapping[str, Mapping[str, Cell]]) -> list[dict[str, Any]]:
    """`coherence` and `rhythm` of a mix, a row per excerpt; `stems` are cells by system, track."""
    cells = {track: stems[system][track] for track, system in mix.sources.items()}
    rows = []
    for number in range(len(next(iter(cells.values())).found)):
        there = {track: cell for track, cell in cells.items() if cell.found[number]['sounds']}
        rows.append(
            coherence_of(
                {track: cell.arrays[ONSETS][number] for track, cell in there.items()},
                {track: cell.arrays[CHROMA][number] for track, cell in there.items()},
            )
            | rhythm_of([np.array(cell.found[number]['beats_s']) for cell in there.values()])
        )
    return rows


def _cell(rows: Sequence[Row]) -> Cell:
    names = rows[0][1]
    arrays = {name: np.stack([of[name] for _, of in rows]) for name in names}
    return Cell([found for found, _ in rows], arrays)


def _each(work: Callable[[Excerpt], T], excerpts: Sequence[Excerpt]) -> list[T]:
    """`work` of every excerpt in their order; most of it is done without Python's lock."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, excerpts))
