"""An evaluation from its question to what was measured; goes on where it was interrupted."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from data_pipeline.records import Prepared
from jen1composer.errors import BadInput, require
from jen1composer.evaluation import systems
from jen1composer.evaluation.cells import Cell, cell
from jen1composer.evaluation.distances import distance, half_to_half
from jen1composer.evaluation.making import Sampling, compose_task, write_baselines
from jen1composer.evaluation.measuring import (
    EMBEDDINGS,
    Ears,
    measure_mix,
    measure_stem,
    measure_training,
)
from jen1composer.evaluation.retrieval import nearest
from jen1composer.evaluation.sounds import Sounds, open_sounds
from jen1composer.evaluation.systems import Excerpt, Mix
from jen1composer.generation.composer import Composer
from launch import command
from launch.evaluation_excerpts import choose_excerpts, read_stems

TRAINED = 'train'  # the split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A question with the sounds that answer it.

    Attributes:
        composer: what is evaluated.
        prepared: the songs.
        excerpts: held out.
        training: of songs that were trained on, as many if there are.
        sampling: how the composer is asked.
        subsets: whether every split of the tracks into given and made is a task.
        question: all of that as JSON.
    """

    composer: Composer
    prepared: Prepared
    excerpts: Sequence[Excerpt]
    training: Sequence[Excerpt]
    sampling: Sampling
    subsets: bool
    question: Mapping[str, Any]

    @property
    def tracks(self) -> tuple[str, ...]:
        return self.composer.spec.tracks

    @property
    def num_samples(self) -> int:
        return self.composer.spec.window_frames * self.composer.spec.hop_samples


def make_evaluation(
    composer: Composer,
    prepared: Prepared,
    sampling: Sampling,
    *,
    splits: Sequence[str],
    count: int,
    subsets: bool,
) -> Evaluation:
    """Raises BadInput where the songs are of other tracks or trained on, or hold too few excerpts.

    Songs that were trained on would be judged by themselves: they are what retrieval answers with
    and what tags are compared with.
    """
    spec = composer.spec
    held_out = TRAINED not in splits
    require(held_out, '--split', TRAINED, 'are splits that are held out; train is the reference')
    if prepared.tracks != spec.tracks:
        raise BadInput(
            f'--data={prepared.folder}: tracks {", ".join(prepared.tracks)}; allowed are those of '
            f'the composer, {", ".join(spec.tracks)}'
        )
    num_samples = spec.window_frames * spec.hop_samples
    excerpts = choose_excerpts(prepared, splits, num_samples, count)
    question = {
        'composer': fingerprint(composer),
        'step': composer.step,
        'data': prepared.fingerprint,
        'splits': list(splits),
        'excerpts': [excerpt.name for excerpt in excerpts],
        'sampling': dataclasses.asdict(sampling),
    }
    return Evaluation(
        composer=composer,
        prepared=prepared,
        excerpts=excerpts,
        training=choose_excerpts(prepared, (TRAINED,), num_samples, len(excerpts)),
        sampling=sampling,
        subsets=subsets,
        question=question,
    )


def fingerprint(composer: Composer) -> str:
    """SHA-256 of all that decides what a composer makes."""
    digest = hashlib.sha256(repr(composer.spec).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(composer.params):
        digest.update(repr(path).encode() + np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def make_sounds(evaluation: Evaluation, out: epath.PathLike) -> Sounds:
    """Writes every system's stems that are not there yet."""
    sounds = open_sounds(out, evaluation.question)
    excerpts, tracks = evaluation.excerpts, evaluation.tracks
    _write_read(evaluation, sounds, systems.ORIGINAL, excerpts, excerpts)
    _write_read(evaluation, sounds, systems.RETRIEVAL, excerpts, retrieved(evaluation))
    _write_read(evaluation, sounds, systems.TRAINING, evaluation.training, evaluation.training)
    bar = command.progress((), 'anchors', total=len(excerpts))
    write_baselines(evaluation.composer, sounds, excerpts, evaluation.sampling.seed, bar.update)
    bar.close()
    tasks = systems.tasks(tracks, evaluation.subsets)
    bar = command.progress((), 'pieces', total=len(tasks) * len(excerpts))
    for task in tasks:
        compose_task(evaluation.composer, sounds, excerpts, task, evaluation.sampling, bar.update)
    bar.close()
    return sounds


def retrieved(evaluation: Evaluation) -> list[Excerpt]:
    """For every excerpt one of the training song nearest by prompt, of those that have any.

    Nearest are the mean token states of the songs' first prompts. Excerpts of one song get those of
    its nearest one after the other.
    """
    of_songs: dict[str, list[Excerpt]] = {}
    for place in evaluation.training:
        of_songs.setdefault(place.song, []).append(place)
    candidates = list(of_songs.values())

    def embed(prompts: Sequence[str]) -> np.ndarray:
        states, mask = evaluation.composer.text_encoder.encode(prompts)
        return states.sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)

    rows = nearest(
        embed([excerpt.prompt for excerpt in evaluation.excerpts]),
        embed([places[0].prompt for places in candidates]),
    )
    taken = [0] * len(candidates)
    found = []
    for row in rows:
        found.append(candidates[row][taken[row] % len(candidates[row])])
        taken[row] += 1
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Cells of stems by system and track, of mixes by name, of training stems by track."""

    stems: Mapping[str, Mapping[str, Cell]]
    mixes: Mapping[str, Cell]
    training: Mapping[str, Cell]


def measure(evaluation: Evaluation, sounds: Sounds, ears: Ears) -> Measured:
    """Measures what is not known yet."""
    excerpts, tracks = evaluation.excerpts, evaluation.tracks
    made = {system: list(tracks) for system in systems.BASELINES}
    for task in systems.tasks(tracks, evaluation.subsets):
        made.setdefault(task.system, []).extend(task.targets)
    mixes = systems.mixes(tracks, evaluation.subsets)
    total = sum(map(len, made.values())) + len(mixes) + len(tracks)
    bar = command.progress((), 'measured', total=total)

    def known(name: str, work: Callable[[], Cell], **decided: Any) -> Cell:
        found = cell(sounds.folder, name, {'ears': ears.fingerprint, **decided}, work)
        bar.update()
        return found

    def of_stem(system: str, track: str) -> Cell:
        return known(
            f'stem/{system}/{track}', lambda: measure_stem(sounds, excerpts, system, track, ears)
        )

    def of_mix(mix: Mix) -> Cell:
        return known(f'mix/{mix.name}', lambda: measure_mix(sounds, excerpts, mix, ears.embedder))

    def of_training(track: str) -> Cell:
        return known(
            f'training/{track}',
            lambda: measure_training(sounds, evaluation.training, track, ears),
        )

    found = Measured(
        stems={
            system: {track: of_stem(system, track) for track in there}
            for system, there in made.items()
        },
        mixes={mix.name: of_mix(mix) for mix in mixes},
        training={track: of_training(track) for track in tracks},
    )
    bar.close()
    return found


def distances(
    evaluation: Evaluation, sounds: Sounds, ears: Ears, measured: Measured
) -> dict[str, dict[str, Any]]:
    """Fréchet distances to the originals, of every track and of `mix`, by system or mix."""
    excerpts = evaluation.excerpts
    work: list[tuple[str, str, Sequence[Excerpt], np.ndarray, np.ndarray]] = []
    found: dict[str, dict[str, Any]] = {}
    for track, original in measured.stems[systems.ORIGINAL].items():
        to = original.arrays[EMBEDDINGS]
        found[track] = {'other_half': half_to_half(excerpts, to)}
        training = measured.training[track].arrays[EMBEDDINGS]
        work.append((track, systems.TRAINING, evaluation.training, training, to))
        for system, cells in measured.stems.items():
            if track in cells and system not in (systems.ORIGINAL, systems.SHUFFLED):
                work.append((track, system, excerpts, cells[track].arrays[EMBEDDINGS], to))
    to = measured.mixes[systems.ORIGINAL].arrays[EMBEDDINGS]
    found['mix'] = {'other_half': half_to_half(excerpts, to)}
    for name, of_mix in measured.mixes.items():
        if name != systems.ORIGINAL:
            work.append(('mix', name, excerpts, of_mix.arrays[EMBEDDINGS], to))
    for track, name, places, rows, to in command.progress(work, 'distances'):
        kept = cell(
            sounds.folder,
            f'distance/{track}/{name}',
            {'ears': ears.fingerprint},
            functools.partial(_distance_cell, places, rows, to),
        )
        found[track][name] = kept.found
    return found


def _distance_cell(places: Sequence[Excerpt], rows: np.ndarray, to: np.ndarray) -> Cell:
    return Cell(distance(places, rows, to), {})


def _write_read(
    evaluation: Evaluation,
    sounds: Sounds,
    system: str,
    excerpts: Sequence[Excerpt],
    places: Sequence[Excerpt],
) -> None:
    """Writes the stems of `places` as those that `system` has for `excerpts`."""
    pairs = zip(excerpts, places, strict=True)
    for excerpt, place in command.progress(pairs, system, total=len(places)):
        if not all(sounds.has(system, excerpt.name, track) for track in evaluation.tracks):
            stems = read_stems(evaluation.prepared, place, evaluation.num_samples)
            for track, stem in zip(evaluation.tracks, stems, strict=True):
                sounds.write(system, excerpt.name, track, stem)
