"""An evaluation from its question to what was measured; goes on where it was interrupted."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from data_pipeline.records import Prepared
from jen1composer.errors import BadInput
from jen1composer.evaluation import systems
from jen1composer.evaluation.cells import Cell, cell
from jen1composer.evaluation.embedder import Embedder
from jen1composer.evaluation.making import Sampling, compose_task, write_baselines
from jen1composer.evaluation.measuring import measure_mix, measure_stem
from jen1composer.evaluation.retrieval import nearest
from jen1composer.evaluation.sounds import Sounds, open_sounds
from jen1composer.evaluation.systems import Excerpt
from jen1composer.generation.composer import Composer
from launch import command
from launch.evaluation_excerpts import choose_excerpts, read_stems, sounding_starts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A question with the sounds that answer it.

    Attributes:
        composer: what is evaluated.
        prepared: the songs.
        excerpts: held out.
        sampling: how the composer is asked.
        subsets: whether every split of the tracks into given and made is a task.
        question: all of that as JSON.
    """

    composer: Composer
    prepared: Prepared
    excerpts: Sequence[Excerpt]
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
    """Raises BadInput where the songs are of other tracks, or hold too few excerpts."""
    spec = composer.spec
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
    _write_read(evaluation, sounds, systems.ORIGINAL, excerpts)
    _write_read(evaluation, sounds, systems.RETRIEVAL, retrieved(evaluation))
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
    """For every excerpt one of the training song nearest by prompt in which all tracks sound.

    Nearest are the mean token states of the songs' first prompts. Excerpts of one song get the
    stretches of its nearest one after the other.
    """
    prepared, encoder = evaluation.prepared, evaluation.composer.text_encoder
    songs = [song for song in prepared.songs('train') if song.prompts]
    if not songs:
        raise BadInput(f'{prepared.folder}: holds no training song with a prompt to retrieve from')

    def embed(prompts: Sequence[str]) -> np.ndarray:
        states, mask = encoder.encode(prompts)
        return states.sum(axis=1) / np.maximum(mask.sum(axis=1, keepdims=True), 1)

    keys = embed([song.prompts[0] for song in songs])
    queries = embed([excerpt.prompt for excerpt in evaluation.excerpts])
    starts: dict[int, list[int]] = {}
    while True:
        usable = [row for row in range(len(songs)) if starts.get(row, [0])]
        if not usable:
            raise BadInput(f'{prepared.folder}: in no training song do all tracks sound at once')
        rows = [usable[place] for place in nearest(queries, keys[usable])]
        unknown = {row for row in rows if row not in starts}
        if not unknown:
            break
        for row in sorted(unknown):
            starts[row] = sounding_starts(prepared, songs[row], evaluation.num_samples)
    found, taken = [], dict.fromkeys(starts, 0)
    for row in rows:
        song, at = songs[row], starts[row]
        start_s = at[taken[row] % len(at)]
        taken[row] += 1
        name = f'{song.id}-{start_s:04}'
        found.append(Excerpt(name=name, song=song.id, start_s=start_s, prompt=song.prompts[0]))
    return found


def measure(
    evaluation: Evaluation, sounds: Sounds, embedder: Embedder
) -> tuple[dict[str, dict[str, Cell]], dict[str, Cell]]:
    """The cells of stems, by system and track, and of mixes, by name."""
    excerpts, tracks = evaluation.excerpts, evaluation.tracks
    made = {system: list(tracks) for system in systems.BASELINES}
    for task in systems.tasks(tracks, evaluation.subsets):
        made.setdefault(task.system, []).extend(task.targets)
    mixes = systems.mixes(tracks, evaluation.subsets)
    work = [(system, track) for system, there in made.items() for track in there]
    decided = {'embedder': embedder.fingerprint}
    bar = command.progress((), 'measured', total=len(work) + len(mixes))
    stems: dict[str, dict[str, Cell]] = {}
    for system, track in work:
        stems.setdefault(system, {})[track] = cell(
            sounds.folder,
            f'stem/{system}/{track}',
            decided,
            lambda at=(system, track): measure_stem(sounds, excerpts, *at, embedder),
        )
        bar.update()
    of_mixes = {}
    for mix in mixes:
        of_mixes[mix.name] = cell(
            sounds.folder,
            f'mix/{mix.name}',
            decided | {'sources': dict(mix.sources)},
            lambda mix=mix: measure_mix(sounds, excerpts, mix, embedder),
        )
        bar.update()
    bar.close()
    return stems, of_mixes


def _write_read(
    evaluation: Evaluation, sounds: Sounds, system: str, places: Sequence[Excerpt]
) -> None:
    """Writes the stems of `places` as the `system` of the excerpts."""
    pairs = zip(evaluation.excerpts, places, strict=True)
    for excerpt, place in command.progress(pairs, system, total=len(places)):
        if not all(sounds.has(system, excerpt.name, track) for track in evaluation.tracks):
            stems = read_stems(evaluation.prepared, place, evaluation.num_samples)
            for track, stem in zip(evaluation.tracks, stems, strict=True):
                sounds.write(system, excerpt.name, track, stem)
