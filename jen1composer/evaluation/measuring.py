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
Row = tuple[Any, Mapping[str, np.ndarray]]  # of an excerpt: JSON and arrays


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


def hear_stem(audio: np.ndarray, ears: Ears) -> Row:
    """What a stem `[sample, 2]` is by itself: `levels`, `sounds`, `beats_s`.

    Arrays: embeddings `[window, width]`, tags `[tag]`, onsets `[frame]`, chroma `[frame, pitch
    class]`; the last two tell nothing where it does not sound.
    """
    heard = is_heard(audio)
    onsets = onset_strength(audio)  # of silence it is 0 or rounding, and not counted
    beats_s = beats_of(onsets).tolist() if heard else []
    found = levels(audio) | {'sounds': heard, 'beats_s': beats_s}
    return found, ears.hear(audio) | {ONSETS: onsets, CHROMA: chroma(audio)}


def hear_mix(audio: np.ndarray, embedder: Embedder) -> Row:
    """`levels` of a mix, and its embeddings as of a stem."""
    return levels(audio), {EMBEDDINGS: embedder.embed(audio)}


def measure_stem(
    sounds: Sounds, excerpts: Sequence[Excerpt], system: str, track: str, ears: Ears
) -> Cell:
    """`hear_stem` of every excerpt, once for all the mixes that it is in.

    To its row comes `log_mel_db`, the distance to the original.
    """

    def measure(excerpt: Excerpt) -> Row:
        audio = sounds.read(system, excerpt.name, track)
        original = sounds.read(systems.ORIGINAL, excerpt.name, track)
        found, arrays = hear_stem(audio, ears)
        return found | {'log_mel_db': log_mel_distance(log_mel(original), log_mel(audio))}, arrays

    return _stacked(_each(measure, excerpts))


def measure_mix(sounds: Sounds, excerpts: Sequence[Excerpt], mix: Mix, embedder: Embedder) -> Cell:
    """`hear_mix` of the sum of every excerpt's stems."""

    def measure(excerpt: Excerpt) -> Row:
        stems = sounds.stems(mix, excerpt.name).values()
        return hear_mix(functools.reduce(operator.add, stems), embedder)

    return _stacked(_each(measure, excerpts))


def measure_training(sounds: Sounds, excerpts: Sequence[Excerpt], track: str, ears: Ears) -> Cell:
    """What stems of training songs are heard as; there is nothing to compare them with."""

    def measure(excerpt: Excerpt) -> Row:
        return {}, ears.hear(sounds.read(systems.TRAINING, excerpt.name, track))

    return _stacked(_each(measure, excerpts))


def heard_together(mix: Mix, stems: Mapping[str, Mapping[str, Cell]]) -> list[dict[str, Any]]:
    """`coherence` and `rhythm` of a mix, a row per excerpt; `stems` are cells by system, track."""
    cells = {track: stems[system][track] for track, system in mix.sources.items()}

    def row(cell: Cell, number: int) -> Row:
        return cell.found[number], {name: cell.arrays[name][number] for name in (ONSETS, CHROMA)}

    count = len(next(iter(cells.values())).found)
    return [
        together_of({track: row(cell, number) for track, cell in cells.items()})
        for number in range(count)
    ]


def together_of(stems: Mapping[str, Row]) -> dict[str, Any]:
    """`coherence` and `rhythm` of rows of `hear_stem` by track, of the time that all are long."""
    there = {track: row for track, row in stems.items() if row[0]['sounds']}
    frames = min((len(arrays[CHROMA]) for _, arrays in there.values()), default=0)
    return coherence_of(
        {track: arrays[ONSETS] for track, (_, arrays) in there.items()},
        {track: arrays[CHROMA][:frames] for track, (_, arrays) in there.items()},
    ) | rhythm_of([np.array(found['beats_s']) for found, _ in there.values()])


def _stacked(rows: Sequence[Row]) -> Cell:
    """The rows of all excerpts as one cell; what is an array must be of one shape in all."""
    names = rows[0][1]
    arrays = {name: np.stack([of[name] for _, of in rows]) for name in names}
    return Cell([found for found, _ in rows], arrays)


def _each(work: Callable[[Excerpt], T], excerpts: Sequence[Excerpt]) -> list[T]:
    """`work` of every excerpt in their order; most of it is done without Python's lock."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(work, excerpts))
