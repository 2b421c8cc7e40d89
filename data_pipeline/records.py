"""A prepared folder: songs whose stems can be read from anywhere within.

    DIR/songs/          rendered songs, see `songs`
    DIR/tfds/           the same as records of a second, see `dataset`
    DIR/songs.jsonl     one `Song` a line, in the order of the records
    DIR/manifest.json   `Manifest`

The manifest is written last, so its presence means that all is there.
"""

import collections
import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.dataset import NAME, SPLITS, PreparedSongs, features, songs_digest
from data_pipeline.dataset import VERSION as DATASET_VERSION
from data_pipeline.folders import write_json
from data_pipeline.json_lines import JsonLines, write_json_lines
from data_pipeline.record_files import RecordFiles
from data_pipeline.songs import FULL_SCALE, Song, digest, song_from_json
from data_pipeline.work import Run, one_by_one
from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

VERSION = 2
SONGS = 'songs.jsonl'
REMEDY = 'prepare the data again, songs are kept'


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a prepared folder holds.

    Attributes:
        source: where the music came from.
        settings: of the source and of the preparation.
        quarantined: {'file', 'reason'} of input that was left out, as broken or as a copy.
        summary: counts, hours, tracks, loudness, tempo and key, see `summarise`.
        read_sha256: over what was read, song by song.
        settings_sha256: over `settings`.
        songs_sha256: of songs.jsonl.
        fingerprint: over all that decides what is read from here.
    """

    version: int = VERSION
    source: str
    tracks: Sequence[str] = TRACKS
    sample_rate: int = RATE
    settings: Mapping[str, Any]
    quarantined: Sequence[Mapping[str, str]]
    summary: Mapping[str, Any]
    read_sha256: str
    settings_sha256: str
    songs_sha256: str
    fingerprint: str


def write_prepared(
    folder: epath.PathLike,
    songs: Sequence[Song],
    *,
    source: str,
    settings: Mapping[str, Any],
    quarantined: Sequence[Mapping[str, str]] = (),
    run: Run = one_by_one,
) -> Manifest:
    """Makes the records of songs that lie under `folder`, then their list, then the manifest.

    Records that are there for the same songs are kept. Nothing is written after the manifest.
    """
    folder = epath.Path(folder)
    songs = [song for split in SPLITS for song in songs if song.split == split]
    directory = folder / 'tfds' / NAME / DATASET_VERSION
    (folder / 'manifest.json').unlink(missing_ok=True)  # From here on records may change.
    for killed in directory.parent.glob('*incomplete*'):
        killed.rmtree()
    if directory.exists() and not _is_whole(directory, songs):
        directory.rmtree()
    nothing = folder / 'work'  # where TFDS would put downloads
    PreparedSongs(folder, songs, run).download_and_prepare(download_dir=nothing)
    if nothing.exists():
        nothing.rmtree()
    songs_sha256 = write_json_lines(folder / SONGS, map(dataclasses.asdict, songs))
    manifest = Manifest(
        source=source,
        settings=settings,
        quarantined=quarantined,
        summary=summarise(songs),
        read_sha256=digest([[song.id, song.source_sha256] for song in songs]),
        settings_sha256=digest(dict(settings)),
        songs_sha256=songs_sha256,
        fingerprint=digest([VERSION, TRACKS, RATE, songs_sha256]),
    )
    write_json(folder / 'manifest.json', dataclasses.asdict(manifest))
    return manifest


def summarise(songs: Sequence[Song]) -> dict[str, Any]:
    """What a folder of songs holds, in numbers.

    Returns:
        JSON: songs and hours, over all and by split; for each track the songs that it sounds in,
        its active hours, the songs in which it is near silent; number of versions; [least,
        median, greatest] of loudness (LUFS) and tempo (bpm); songs by key.
    """

    def hours(chosen: Sequence[Song]) -> float:
        return round(sum(song.duration_s for song in chosen) / 3600, 4)

    def spread(values: Sequence[float]) -> list[float] | None:
        if not values:
            return None
        return [round(float(value), 1) for value in np.percentile(values, (0, 50, 100))]

    keys = collections.Counter(str(s.tags['key']) for s in songs if s.tags.get('key'))
    by_split = {split: [s for s in songs if s.split == split] for split in SPLITS}
    return {
        'songs': len(songs),
        'hours': hours(songs),
        'versions': sum(bool(song.version) for song in songs),
        'splits': {
            split: {'songs': len(chosen), 'hours': hours(chosen)}
            for split, chosen in by_split.items()
        },
        'tracks': {
            track: {
                'songs': sum(song.active[track] > 0 for song in songs),
                'hours': round(sum(s.active[track] * s.duration_s for s in songs) / 3600, 4),
                'near_silent': sum(track in song.near_silent for song in songs),
            }
            for track in TRACKS
        },
        'loudness_lufs': spread([s.loudness_lufs for s in songs if s.loudness_lufs is not None]),
        'bpm': spread([float(s.tags['bpm']) for s in songs if s.tags.get('bpm')]),
        'keys': dict(sorted(keys.items())),
        'record_bytes': sum(song.num_records for song in songs) * len(TRACKS) * RATE * 4,
        'flac_bytes': sum(sum(song.flac_bytes.values()) for song in songs),
    }


def read_manifest(folder: epath.Path) -> Manifest:
    """Reads the manifest; raises BadInput if `folder` is not a prepared one of this version."""
    path = folder / 'manifest.json'
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(
                f'{path}: version {value["version"]}; allowed is {VERSION}, '
                'prepare the data again into another folder'
            )
        return Manifest(**value)
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{folder}: not a prepared data folder ({type(error).__name__}: {error}); '
            'make one with python -m launch.prepare_data'
        ) from error


class Prepared:
    """A prepared folder, open for reading; usable from many threads, picklable.

    Attributes:
        folder: where it is, on this machine or not.
        manifest: what it holds.
        records: all seconds as bytes, as they lie: by split, and in each split by song.
    """

    def __init__(self, folder: epath.PathLike, cache: str | None = None):
        """Opens the folder; `cache` is where its records are copied to first, see `cache.local`.

        Raises BadInput if a file is missing or is not whole.
        """
        self.folder = epath.Path(folder)
        self.manifest = read_manifest(self.folder)
        lines = JsonLines(
            self.folder / SONGS, self.manifest.songs_sha256, remedy=REMEDY, cache=cache
        )
        self._songs = [song_from_json(line) for line in lines]
        directory = self.folder / 'tfds' / NAME / DATASET_VERSION
        if not _is_of(directory, self._songs):
            raise BadInput(f'{directory}: records are missing or of other songs; {REMEDY}')
        names, lengths = _record_files(directory)
        self.records = RecordFiles(directory, names, lengths, remedy=REMEDY, cache=cache)
        begins = itertools.accumulate((song.num_records for song in self._songs), initial=0)
        self._first_record = dict(zip((song.id for song in self._songs), begins, strict=False))

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(self.manifest.tracks)

    @property
    def fingerprint(self) -> str:
        return self.manifest.fingerprint

    def songs(self, split: str | None = None) -> list[Song]:
        """The songs of a split, or of all."""
        if split not in (None, *SPLITS):
            raise BadInput(f'split: {split!r}; allowed are {", ".join(SPLITS)}')
        return [song for song in self._songs if split in (None, song.split)]

    def first_record(self, song: Song) -> int:
        """Which of `records` is the first second of a song."""
        return self._first_record[song.id]

    def read(self, song: Song, start_sample: int, num_samples: int) -> np.ndarray:
        """A window of a song, float32 `[track, sample, 2]`.

        The window may reach past the song's end, where it is silent, but must begin before it.
        """
        if not 0 <= start_sample < song.num_samples or num_samples < 1:
            raise ValueError(
                f'{song.id}: no window of {num_samples} samples at {start_sample} '
                f'in a song of {song.num_samples}'
            )
        window = np.zeros((len(self.tracks), num_samples, 2), np.float32)
        end_sample = min(start_sample + num_samples, song.num_samples)
        first = self.first_record(song)
        for second in range(start_sample // RATE, -(-end_sample // RATE)):
            audio = features().deserialize_example_np(self.records[first + second])['audio']
            begin, end = max(start_sample, second * RATE), min(end_sample, (second + 1) * RATE)
            piece = audio[:, begin - second * RATE : end - second * RATE]
            window[:, begin - start_sample : end - start_sample] = piece
        return window / FULL_SCALE


def _is_of(directory: epath.Path, songs: Sequence[Song]) -> bool:
    """Whether the data set in `directory` was made of `songs`."""
    try:
        found = json.loads((directory / 'metadata.json').read_text())['songs']
    except (OSError, ValueError, TypeError, KeyError):
        return False
    return found == songs_digest(songs)


def _is_whole(directory: epath.Path, songs: Sequence[Song]) -> bool:
    """Whether all records of `songs` are in `directory`, as far as their sizes tell."""
    try:
        return _is_of(directory, songs) and bool(_record_files(directory))
    except BadInput:
        return False


def _record_files(directory: epath.Path) -> tuple[list[str], list[int]]:
    """The record files in the order of SPLITS, and how many records each has, as TFDS noted.

    Raises BadInput where they are not all there, or not as long as they were.
    """
    path = directory / 'dataset_info.json'
    try:
        splits = json.loads(path.read_text())['splits']
        splits = sorted(splits, key=lambda split: SPLITS.index(split['name']))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f'{path}: missing or damaged ({error}); {REMEDY}') from error
    there = {path.name: path for path in directory.iterdir()}
    names: list[str] = []
    lengths: list[int] = []
    for split in splits:
        count = len(split['shardLengths'])
        files = [
            f'{NAME}-{split["name"]}.array_record-{k:05d}-of-{count:05d}' for k in range(count)
        ]
        found = [there[name].stat().length for name in files if name in there]
        if len(found) != count or sum(found) != int(split['numBytes']):
            raise BadInput(
                f'{directory}: the {split["name"]} split has {len(found)} files of {sum(found)} '
                f'bytes; needed are {count} of {split["numBytes"]}; {REMEDY}'
            )
        names += files
        lengths += map(int, split['shardLengths'])
    return names, lengths
