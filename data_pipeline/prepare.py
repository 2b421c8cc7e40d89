"""A source of songs to a prepared folder.

1. Every song is loaded and written by itself, in worker processes, in any order. A song that is
   there and whole is kept, so a run that was killed goes on where it stopped.
2. Broken input is quarantined: left out, listed with its reason. Too much of it fails the run.
   A song that sounds exactly like an earlier one is left out and listed too, but fails nothing:
   the test split must not hold a copy of a training song.
3. Splits are by song, never by window, and follow from the ids alone: songs are ordered by a hash,
   those with material on every track first; validation and test take one in six each (at least one
   as soon as there are three songs), train takes the rest.
4. The manifest comes last.
"""

import concurrent.futures
import concurrent.futures.process
import contextlib
import dataclasses
import hashlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from data_pipeline import prompts
from data_pipeline.folders import open_folder, refuse_foreign
from data_pipeline.prompts import compose_prompt
from data_pipeline.records import (
    Prepared,
    Song,
    digest,
    read_manifest,
    read_song,
    write_manifest,
    write_song,
)
from data_pipeline.sources.source import Entry, Source, constants
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

NUM_WORKERS = 2
MAX_BROKEN = 0.2
HELD_OUT = 1 / 6

# Wraps an iterable of a known length to show progress: (iterable, description, total).
Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


def prepare(
    source: Source,
    folder: epath.PathLike,
    *,
    num_songs: int | None = None,
    num_workers: int = NUM_WORKERS,
    max_broken: float = MAX_BROKEN,
    progress: Progress = lambda iterable, description, total: iterable,
) -> Prepared:
    """Fills `folder` from `source` and opens it.

    Args:
        source: where songs come from.
        folder: made if need be; if it holds songs, they must be of the same source and settings.
        num_songs: how many; all by default.
        num_workers: processes that load songs; 0 loads them in this one.
        max_broken: the fraction of songs that may be broken.
        progress: shows it.

    Raises BadInput for a folder of other origin, for a source without songs, for too many broken
    ones and for a worker that was killed.
    """
    folder = epath.Path(folder)
    _check_folder(folder, source)
    entries = source.entries(num_songs)
    if not entries:
        raise BadInput(f'--source={source.name}: no songs; needed is at least one')
    open_folder(folder)
    (folder / 'manifest.json').unlink(missing_ok=True)  # Songs may change now.
    songs: dict[str, Song] = {}
    quarantined: dict[str, dict[str, str]] = {}
    with _outcomes(source, entries, folder, num_workers) as outcomes:
        for entry, outcome in progress(outcomes, 'preparing songs', len(entries)):
            if isinstance(outcome, Song):
                songs[entry.id] = outcome
            else:
                quarantined[entry.id] = _quarantine(entry, outcome)
    broken = [quarantined[entry.id] for entry in entries if entry.id in quarantined]
    if len(broken) > max_broken * len(entries):
        raise BadInput(
            f'--source={source.name}: {len(broken)} of {len(entries)} songs are broken, allowed is '
            f'{max_broken:.0%}; the first: {broken[0]["reason"]}'
        )
    whole, copies = _without_copies([entry for entry in entries if entry.id in songs], songs)
    splits = split_songs(whole)
    write_manifest(
        folder,
        [dataclasses.replace(songs[entry.id], split=splits[entry.id]) for entry in whole],
        source=source.name,
        settings=source.settings,
        quarantined=broken + copies,
    )
    return Prepared(folder)


def split_songs(entries: Sequence[Entry]) -> dict[str, str]:
    """The split of each song, by id; the order of entries does not matter."""

    def order(entry: Entry) -> tuple[bool, str]:
        return len(entry.tracks) < len(TRACKS), hashlib.sha256(entry.id.encode()).hexdigest()

    ids = [entry.id for entry in sorted(entries, key=order)]
    held_out = max(1, round(HELD_OUT * len(ids))) if len(ids) >= 3 else 0
    splits = dict.fromkeys(ids, 'train')
    splits.update(dict.fromkeys(ids[:held_out], 'validation'))
    splits.update(dict.fromkeys(ids[held_out : 2 * held_out], 'test'))
    return splits


def make_song(source: Source, entry: Entry, folder: epath.Path) -> Song | str:
    """Loads and writes one song, or keeps the one that is there; a broken one gives its reason."""
    try:
        sha256 = source.sha256(entry)
        recipe = digest([source.name, dict(source.settings), constants(prompts), sha256])
        with contextlib.suppress(BadInput):  # Missing or not whole: made now.
            kept = read_song(folder, entry.id)
            if kept.recipe == recipe:
                return kept
        material = source.load(entry)
    except BadInput as error:
        return str(error)
    return write_song(
        folder,
        entry.id,
        material.stems,
        title=entry.title,
        tags=material.tags,
        prompts=material.captions or (compose_prompt(entry.id, material.tags),),
        beats_s=material.beats_s or (),
        source_sha256=sha256,
        recipe=recipe,
    )


def _check_folder(folder: epath.Path, source: Source) -> None:
    """Refuses to write among files of another origin."""
    if '://' in str(folder):
        raise BadInput(f'--out={folder}: records are random access; allowed is a local folder')
    refuse_foreign(folder, ('songs', 'manifest.json'), 'prepared data')
    if (folder / 'manifest.json').exists():
        found = read_manifest(folder).source
        if found != source.name:
            raise BadInput(
                f'--out={folder}: was prepared from {found}, not {source.name}; give another folder'
            )


def _quarantine(entry: Entry, reason: str) -> dict[str, str]:
    """What the manifest says of a song left out; bytes of its path that are no text become '?'."""
    said = {'file': entry.where, 'reason': reason}
    return {key: text.encode(errors='replace').decode() for key, text in said.items()}


def _without_copies(
    entries: Sequence[Entry], songs: Mapping[str, Song]
) -> tuple[list[Entry], list[dict[str, str]]]:
    """The entries less those that sound exactly like an earlier one, and these quarantined."""
    first: dict[str, Entry] = {}
    copies = []
    for entry in entries:
        original = first.setdefault(songs[entry.id].audio_sha256, entry)
        if original is not entry:
            reason = f'{entry.where}: sounds exactly like {original.where}; a song is taken once'
            copies.append(_quarantine(entry, reason))
    return list(first.values()), copies


@contextlib.contextmanager
def _outcomes(
    source: Source, entries: Sequence[Entry], folder: epath.Path, num_workers: int
) -> Iterator[Iterator[tuple[Entry, Song | str]]]:
    """Gives an iterator over each entry with what became of it, in the order of completion."""
    if not num_workers:
        yield ((entry, make_song(source, entry, folder)) for entry in entries)
        return
    # Spawned, not forked: the caller may run threads, and JAX does not survive a fork.
    with concurrent.futures.ProcessPoolExecutor(
        num_workers, multiprocessing.get_context('spawn'), initializer=_start_worker
    ) as pool:
        try:
            jobs = {pool.submit(make_song, source, e, folder): e for e in entries}
            yield ((jobs[job], job.result()) for job in concurrent.futures.as_completed(jobs))
        except concurrent.futures.process.BrokenProcessPool as error:
            raise BadInput(
                f'--workers={num_workers}: one of them was killed, most likely for want of memory; '
                'run it again with fewer, it goes on where it was'
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Leaves Ctrl-C to the parent, and ends with it: after a kill no worker must wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            multiprocessing.connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()
