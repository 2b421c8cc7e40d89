"""A source of songs to a prepared folder.

1. Every song is loaded, measured and written under its key by itself, anywhere and in any order
   (`work`). A song that is there and whole is kept, so a run that was killed goes on where it
   stopped.
2. Broken input is quarantined: left out, listed with its reason. Too much of it fails the run.
   A song that sounds exactly like an earlier one is left out and listed too, but fails nothing:
   the test split must not hold a copy of a training song.
3. Splits are by song, never by window (`splits`).
4. Training songs are written once more for each version that is asked for (`versions`).
5. Then come the records of all songs (`dataset`), their list, and last the manifest.
"""

import contextlib
import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline import analysis, chords, loudness, phase_vocoder, songs, versions
from data_pipeline.analysis import analyse
from data_pipeline.chords import heard_chords
from data_pipeline.folders import LOCK, alone_in, open_folder, refuse_foreign, write_json
from data_pipeline.prompts import PromptStyle, song_prompts
from data_pipeline.records import Prepared, write_prepared
from data_pipeline.songs import FULL_SCALE, Song, digest, find_song, read_samples, write_song
from data_pipeline.sources.source import Entry, Source, constants, entry_from_json
from data_pipeline.splits import HELD_OUT, split_songs
from data_pipeline.versions import (
    Version,
    make_version,
    version_beats,
    version_chords,
    version_tags,
)
from data_pipeline.work import Run, one_by_one
from jen1composer.errors import BadInput, require
from jen1composer.tracks import TRACKS

ORIGIN = 'origin.json'  # what a folder is prepared from; written first
BROKEN = 'broken.json'  # the songs that were too many, where a run was refused for them
MARK = '~'  # between the id of a song and the name of its version


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preparation:
    """How songs are prepared, whatever their source.

    Attributes:
        prompts: how many, and how much each of them leaves out.
        versions: pitch and speed versions of each training song, beside the plain one.
        measure: whether tempo, key, beats and chords are listened for where the source does not
            know them.
        held_out: the share of songs that validation takes, and the share that test takes.
        max_broken: the fraction of songs that may be broken.
    """

    prompts: PromptStyle = dataclasses.field(default_factory=PromptStyle)
    versions: tuple[Version, ...] = ()
    measure: bool = True
    held_out: float = HELD_OUT
    max_broken: float = 0.2

    def __post_init__(self) -> None:
        require(0 <= self.held_out <= 1 / 3, 'held_out', self.held_out, 'is 0 to 1/3')
        require(0 <= self.max_broken <= 1, 'max_broken', self.max_broken, 'is 0 to 1')
        names = [version.name for version in self.versions]
        require(
            '' not in names and len(set(names)) == len(names),
            'versions',
            self.versions,
            'are versions that differ from the plain song and from each other',
        )


def prepare(
    source: Source,
    folder: epath.PathLike,
    *,
    how: Preparation = Preparation(),  # frozen
    num_songs: int | None = None,
    only: Sequence[str] = (),
    run: Run = one_by_one,
) -> Prepared:
    """Fills `folder` from `source` and opens it.

    Args:
        source: where songs come from.
        folder: made if need be; if it holds songs, they must be of the same source.
        how: see `Preparation`.
        num_songs: how many; all by default.
        only: ids of the songs to prepare; all by default. Each is in the split that it has among
            all that the source lists, so what is held out of the whole stays held out.
        run: does the work.

    Raises BadInput for a folder of other origin, for a source without songs, for an unknown one in
    `only` and for too many broken ones.
    """
    folder = epath.Path(folder)
    _check_folder(folder, source)
    entries = source.entries(num_songs)
    if not entries:
        raise BadInput(f'--source={source.name}: no songs; needed is at least one')
    if only:
        entries = _only(entries, only, how.held_out)
        how = dataclasses.replace(how, held_out=0.0)  # their splits are named now
    open_folder(folder)
    with alone_in(folder):
        write_json(folder / ORIGIN, _origin(source))
        return _prepare(source, folder, entries, how, run)


def _only(entries: Sequence[Entry], ids: Sequence[str], held_out: float) -> list[Entry]:
    """The entries of `ids`, each with the split that it has among all."""
    for one in ids:
        if one not in {entry.id for entry in entries}:
            first = ', '.join(entry.id for entry in entries[:3])
            raise BadInput(f'--only={one}: no such song; allowed are ids such as {first}')
    splits = split_songs(entries, held_out)
    return [
        dataclasses.replace(entry, split=splits[entry.id]) for entry in entries if entry.id in ids
    ]


def _prepare(
    source: Source, folder: epath.Path, entries: Sequence[Entry], how: Preparation, run: Run
) -> Prepared:
    # ---- Songs.
    outcomes = run(
        functools.partial(make_song, source=source, folder=str(folder), measure=how.measure),
        [dataclasses.asdict(entry) for entry in entries],
        count_done=_songs_since(folder),
        description='songs',
    )
    made, quarantined = _sorted_out(source, folder, entries, outcomes, how.max_broken)
    whole, copies = _without_copies([entry for entry in entries if entry.id in made], made)
    if not whole:
        raise BadInput(f'--source={source.name}: all songs are broken; needed is one that is not')
    splits = split_songs(whole, how.held_out)
    plain = [dataclasses.replace(made[entry.id], split=splits[entry.id]) for entry in whole]

    # ---- Versions, words.
    described = [
        dataclasses.replace(
            song, prompts=song_prompts(song.id, song.tags, song.captions, how.prompts)
        )
        for song in _with_versions(plain, how.versions, folder, run)
    ]

    # ---- Records, list, manifest.
    write_prepared(
        folder,
        described,
        source=source.name,
        settings={'source': source.settings, 'preparation': _settings(how)},
        quarantined=quarantined + copies,
        run=run,
    )
    return Prepared(folder)


def make_song(
    item: Mapping[str, Any], source: Source, folder: str, measure: bool
) -> dict[str, Any]:
    """Makes one song, or keeps the one that is there.

    Returns:
        {'id', 'song'}, or {'id', 'reason'} for a broken one.
    """
    entry = entry_from_json(item)
    try:
        sha256 = source.sha256(entry)
        made_by = constants(songs, loudness, analysis, chords)
        key = digest([source.name, dict(source.settings), sha256, measure, made_by])
        song = find_song(folder, key)
        if song is None:
            song = _load(source, entry, folder, key, sha256, measure)
    except BadInput as error:
        return {'id': entry.id, 'reason': str(error)}
    song = dataclasses.replace(song, id=entry.id, title=entry.title)
    return {'id': entry.id, 'song': dataclasses.asdict(song)}


def _load(source: Source, entry: Entry, folder: str, key: str, sha256: str, measure: bool) -> Song:
    material = source.load(entry)
    tags, beats_s, measured = dict(material.tags), material.beats_s, []
    found = material.chords
    if measure and (beats_s is None or not tags.get('bpm') or not tags.get('key')):
        heard = analyse(material.stems.sum(axis=0))
        for name, value in (('bpm', heard.bpm), ('key', heard.key)):
            if not tags.get(name) and value is not None:
                tags[name] = value
                measured.append(name)
        if beats_s is None:
            beats_s = heard.beats_s
            measured.append('beats_s')
    if measure and found is None:
        found = heard_chords(material.stems, beats_s or ())
        measured.append('chords')
    song = Song(
        id=entry.id,
        key=key,
        title=entry.title,
        num_samples=0,
        tags=tags,
        measured=measured,
        captions=material.captions or entry.captions,
        beats_s=tuple(round(float(beat), 3) for beat in beats_s or ()),
        chords=found or (),
        rms_db={},
        active={},
        loudness_lufs=None,
        source_sha256=sha256,
        audio_sha256='',
        flac_bytes={},
    )
    return write_song(folder, song, material.stems)


def _with_versions(
    plain: Sequence[Song], wanted: Sequence[Version], folder: epath.Path, run: Run
) -> list[Song]:
    """All songs, each training song followed by its versions."""
    items = [
        {'song': dataclasses.asdict(song), 'version': dataclasses.asdict(version)}
        for song in plain
        if song.split == 'train'
        for version in wanted
    ]
    if not items:
        return list(plain)
    made = run(
        functools.partial(make_version_of, folder=str(folder)),
        items,
        count_done=_songs_since(folder),
        description='versions',
    )
    of = {(item['id'], item['song']['version']): item['song'] for item in made}
    return [
        version
        for song in plain
        for version in (
            song,
            *(
                songs.song_from_json(of[song.id, version.name])
                for version in wanted
                if song.split == 'train'
            ),
        )
    ]


def make_version_of(item: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Makes the version {'version'} of the plain song {'song'}, or keeps the one that is there.

    Returns:
        {'id', 'song'}, the id of the plain song and the version.
    """
    plain, version = songs.song_from_json(item['song']), Version(**item['version'])
    key = digest([plain.key, item['version'], constants(songs, loudness, versions, phase_vocoder)])
    song = find_song(folder, key)
    if song is None:
        stems = read_samples(folder, plain).astype(np.float32) / FULL_SCALE
        song = dataclasses.replace(
            plain,
            key=key,
            tags=version_tags(plain.tags, version),
            captions=(),  # They may name a tempo or a key.
            beats_s=tuple(round(beat, 3) for beat in version_beats(plain.beats_s, version)),
            chords=tuple(
                (round(begin, 3), chord) for begin, chord in version_chords(plain.chords, version)
            ),
        )
        song = write_song(folder, song, make_version(stems, version, TRACKS))
    song = dataclasses.replace(
        song,
        id=f'{plain.id}{MARK}{version.name}',
        title=plain.title,
        split=plain.split,
        version=version.name,
    )
    return {'id': plain.id, 'song': dataclasses.asdict(song)}


def _settings(how: Preparation) -> dict[str, Any]:
    return dataclasses.asdict(how) | {
        'songs': constants(songs, loudness, analysis, chords, versions, phase_vocoder)
    }


def _origin(source: Source) -> dict[str, str]:
    """What a prepared folder is said to come from."""
    where = getattr(source, 'folder', '')
    return {'source': source.name, 'folder': str(epath.Path(where).resolve()) if where else ''}


def _check_folder(folder: epath.Path, source: Source) -> None:
    """Refuses to write among files of another origin, and into the source itself."""
    if any(letter in str(folder) for letter in '*?[]'):
        raise BadInput(f'--out={folder}: allowed are names without * ? [ ], which are patterns')
    origin, path = _origin(source), folder / ORIGIN
    if origin['folder'] and '://' not in str(folder):
        inner, outer = pathlib.Path(folder).resolve(), pathlib.Path(origin['folder'])
        if inner.is_relative_to(outer) or outer.is_relative_to(inner):
            raise BadInput(f'--out={folder}: lies in or around the source, {outer}; give another')
    if not path.exists():
        refuse_foreign(folder, (LOCK,), 'prepared data')
        return
    try:
        found = json.loads(path.read_text())
        named = [found['source'], found['folder']]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f'{path}: damaged ({error}); prepare into another folder') from error
    if named != list(origin.values()):
        raise BadInput(
            f'--out={folder}: was prepared from {" ".join(named)}, not '
            f'{" ".join(origin.values())}; give another folder'
        )


def _songs_since(folder: epath.Path) -> Callable[[], int]:
    """Counts the songs that have come since it was made, whoever makes them."""

    def count() -> int:
        with contextlib.suppress(OSError):  # One was renamed while it was looked for.
            return sum(not path.name.endswith('.aside') for path in folder.glob('songs/*/*'))
        return 0

    before = count()
    return lambda: max(0, count() - before)


def _sorted_out(
    source: Source,
    folder: epath.Path,
    entries: Sequence[Entry],
    outcomes: Sequence[Mapping[str, Any]],
    most: float,
) -> tuple[dict[str, Song], list[dict[str, str]]]:
    """The songs by id, and the broken ones; raises BadInput where too many are broken."""
    made = {o['id']: songs.song_from_json(o['song']) for o in outcomes if 'song' in o}
    reasons = {o['id']: o['reason'] for o in outcomes if 'reason' in o}
    broken = [_quarantine(entry, reasons[entry.id]) for entry in entries if entry.id in reasons]
    (folder / BROKEN).unlink(missing_ok=True)
    if len(broken) > most * len(entries):
        write_json(folder / BROKEN, broken)
        raise BadInput(
            f'--source={source.name}: {len(broken)} of {len(entries)} songs are broken, allowed is '
            f'{most:.0%}; all are in {folder / BROKEN}, the first: {broken[0]["reason"]}'
        )
    return made, broken


def _quarantine(entry: Entry, reason: str) -> dict[str, str]:
    """What the manifest says of a song left out; bytes of its path that are no text become '?'."""
    said = {'file': entry.where, 'reason': reason}
    return {key: text.encode(errors='replace').decode() for key, text in said.items()}


def _without_copies(
    entries: Sequence[Entry], made: Mapping[str, Song]
) -> tuple[list[Entry], list[dict[str, str]]]:
    """The entries less those that sound exactly like an earlier one, and these quarantined."""
    first: dict[str, Entry] = {}
    copies = []
    for entry in entries:
        original = first.setdefault(made[entry.id].audio_sha256, entry)
        if original is not entry:
            reason = f'{entry.where}: sounds exactly like {original.where}; a song is taken once'
            copies.append(_quarantine(entry, reason))
    return list(first.values()), copies
