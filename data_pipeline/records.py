"""Prepared music on disk: a folder of songs whose stems can be read from anywhere within.

    DIR/songs/<id>.array_record   one record a second: little-endian int16 [track, 48000, 2]
    DIR/songs/<id>.json           `Song`, without its split
    DIR/manifest.json             `Manifest`; written last, so its presence means that all is there

1. Samples are int16 at full scale 32768, so int16 -> float32 -> int16 is the identity. The last
   record is padded with silence.
2. Records are one to a group and uncompressed: a window reads the seconds it touches, nothing else.
3. Files are written aside and renamed, the record file before its JSON: a song whose JSON is there
   is whole, whenever the writer was killed.
4. Which split a song is in stands in the manifest alone, since it depends on the other songs.
"""

import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from array_record.python.array_record_module import ArrayRecordWriter
from etils import epath

from data_pipeline.folders import aside
from data_pipeline.loudness import rms_db
from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

VERSION = 1
FULL_SCALE = 32768
SPLITS = ('train', 'validation', 'test')
WRITER_OPTIONS = 'group_size:1,uncompressed'
READER_OPTIONS = {'max_parallelism': '0'}  # For random access; reading ahead is off by itself.
ACTIVE_DB = -60.0


@dataclass(frozen=True, kw_only=True)
class Song:
    """A prepared song.

    Attributes:
        id: names its files.
        split: 'train', 'validation' or 'test'.
        title: for people.
        num_records: whole and begun seconds.
        num_samples: length before padding, at 48 kHz.
        tags: what is known about the music (bpm, key, instruments of each track, ...).
        prompts: sentences that describe it, one or more.
        beats_s: when each beat falls, in seconds; empty where no beat was found.
        rms_db: of each track over the whole song, dB below full scale; -120 is silence.
        active: of each track, the fraction of seconds louder than -60 dB.
        source_sha256: of what the song was made from.
        audio_sha256: of its records.
        record_bytes: size of the record file.
        recipe: hash of source_sha256, the source's name and its settings; a song is made again
            when it changes.
    """

    id: str
    split: str = ''
    title: str
    num_records: int
    num_samples: int
    tags: Mapping[str, Any]
    prompts: tuple[str, ...]
    beats_s: tuple[float, ...] = ()
    rms_db: Mapping[str, float]
    active: Mapping[str, float]
    source_sha256: str
    audio_sha256: str
    record_bytes: int
    recipe: str

    @property
    def duration_s(self) -> float:
        return self.num_samples / RATE


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a prepared folder holds.

    Attributes:
        source: where the music came from.
        settings: of the source.
        splits: song ids by split.
        quarantined: {'file', 'reason'} of input that was left out, as broken or as a copy.
        totals: songs, seconds and bytes.
        fingerprint: SHA-256 over the songs, the splits and the settings.
    """

    version: int = VERSION
    source: str
    tracks: Sequence[str] = TRACKS
    sample_rate: int = RATE
    settings: Mapping[str, Any]
    splits: Mapping[str, Sequence[str]]
    quarantined: Sequence[Mapping[str, str]]
    totals: Mapping[str, float]
    fingerprint: str


def write_json(path: epath.Path, value: Any) -> None:
    """Writes JSON aside and renames it."""
    unfinished = aside(path)
    unfinished.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + '\n')
    unfinished.replace(path)


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def quantise(stems: np.ndarray) -> np.ndarray:
    """float in [-1, 1] to int16, rounded to the nearest; full scale itself becomes 32767."""
    if not np.abs(stems).max(initial=0.0) <= 1.0:
        raise ValueError('stems must be finite and lie in [-1, 1]')
    return np.minimum(np.rint(stems * FULL_SCALE), FULL_SCALE - 1).astype('<i2')


def write_song(
    folder: epath.PathLike,
    song_id: str,
    stems: np.ndarray,
    *,
    title: str,
    tags: Mapping[str, Any],
    prompts: Sequence[str],
    beats_s: Sequence[float] = (),
    source_sha256: str,
    recipe: str,
) -> Song:
    """Writes one song under `folder`; stems are float32 `[track, sample, 2]` within [-1, 1]."""
    songs = epath.Path(folder) / 'songs'
    songs.mkdir(parents=True, exist_ok=True)
    num_tracks, num_samples, _ = stems.shape
    num_records = -(-num_samples // RATE)
    sha256 = hashlib.sha256()
    second_db = np.zeros((num_tracks, num_records))
    path = songs / f'{song_id}.array_record'
    unfinished = aside(path)
    writer = ArrayRecordWriter(os.fspath(unfinished), WRITER_OPTIONS)
    for second in range(num_records):
        chunk = stems[:, second * RATE : (second + 1) * RATE]
        second_db[:, second] = [rms_db(stem) for stem in chunk]
        record = np.zeros((num_tracks, RATE, 2), '<i2')
        record[:, : chunk.shape[1]] = quantise(chunk)
        writer.write(record.tobytes())
        sha256.update(record)
    writer.close()
    if unfinished.stat().length < num_records * num_tracks * RATE * 4:
        raise OSError(f'{unfinished}: not all was written; is the disk full?')
    unfinished.replace(path)
    song = Song(
        id=song_id,
        title=title,
        num_records=num_records,
        num_samples=num_samples,
        tags=tags,
        prompts=tuple(prompts),
        beats_s=tuple(round(float(beat), 3) for beat in beats_s),
        rms_db={t: round(rms_db(x), 1) for t, x in zip(TRACKS, stems, strict=True)},
        active={
            t: round(float(np.mean(db > ACTIVE_DB)), 3)
            for t, db in zip(TRACKS, second_db, strict=True)
        },
        source_sha256=source_sha256,
        audio_sha256=sha256.hexdigest(),
        record_bytes=path.stat().length,
        recipe=recipe,
    )
    value = dataclasses.asdict(song)
    del value['split']
    write_json(songs / f'{song_id}.json', value)
    return song


def read_song(folder: epath.PathLike, song_id: str) -> Song:
    """Reads a song's JSON and checks that its record file is there and whole.

    Raises BadInput if either is missing or damaged.
    """
    songs = epath.Path(folder) / 'songs'
    path = songs / f'{song_id}.json'
    records = songs / f'{song_id}.array_record'
    try:
        value = json.loads(path.read_text())
        value |= {key: tuple(value[key]) for key in ('prompts', 'beats_s')}
        song = Song(**value)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f'{path}: missing or damaged ({error}); prepare the data again') from error
    found = records.stat().length if records.exists() else None
    if found != song.record_bytes:
        raise BadInput(
            f'{records}: {found} bytes; needed are {song.record_bytes}, prepare it again'
        )
    return song


def write_manifest(
    folder: epath.PathLike,
    songs: Sequence[Song],
    *,
    source: str,
    settings: Mapping[str, Any],
    quarantined: Sequence[Mapping[str, str]],
) -> Manifest:
    """Writes the manifest over songs that carry their split; nothing is written after it."""
    described = [dataclasses.asdict(song) for song in songs]
    manifest = Manifest(
        source=source,
        settings=settings,
        splits={split: [s.id for s in songs if s.split == split] for split in SPLITS},
        quarantined=quarantined,
        totals={
            'songs': len(songs),
            'seconds': round(sum(song.duration_s for song in songs), 1),
            'bytes': sum(song.record_bytes for song in songs),
        },
        fingerprint=digest([VERSION, source, TRACKS, RATE, dict(settings), described]),
    )
    write_json(epath.Path(folder) / 'manifest.json', dataclasses.asdict(manifest))
    return manifest


def read_manifest(folder: epath.Path) -> Manifest:
    """Reads the manifest; raises BadInput if `folder` is not a prepared one of this version."""
    path = folder / 'manifest.json'
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(f'{path}: version {value["version"]}; allowed is {VERSION}')
        return Manifest(**value)
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{folder}: not a prepared data folder ({type(error).__name__}: {error}); '
            'make one with python -m launch.prepare_data'
        ) from error


@dataclass(frozen=True)
class _Whole:
    """All records of a file, as array_record wants to be told, so that it opens it when needed."""

    filename: str
    skip: int
    take: int
    examples_in_shard: int


class Prepared:
    """A prepared folder, open for reading; usable from many threads, picklable.

    Attributes:
        folder: where it is.
        manifest: what it holds.
    """

    def __init__(self, folder: epath.PathLike):
        """Opens the folder and checks every song's files; raises BadInput if one is not whole."""
        self.folder = epath.Path(folder)
        self.manifest = read_manifest(self.folder)
        self._songs = [
            dataclasses.replace(read_song(self.folder, song_id), split=split)
            for split in SPLITS
            for song_id in self.manifest.splits[split]
        ]
        lengths = [song.num_records for song in self._songs]
        begins = itertools.accumulate(lengths, initial=0)
        self._first_record = dict(zip((song.id for song in self._songs), begins, strict=False))
        self._records = ArrayRecordDataSource(
            [
                _Whole(os.fspath(self.folder / 'songs' / f'{song.id}.array_record'), 0, n, n)
                for song, n in zip(self._songs, lengths, strict=True)
            ],
            READER_OPTIONS,
        )

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
        for second in range(start_sample // RATE, -(-end_sample // RATE)):
            data = self._records[self._first_record[song.id] + second]
            record = np.frombuffer(data, '<i2').reshape(len(self.tracks), RATE, 2)
            begin, end = max(start_sample, second * RATE), min(end_sample, (second + 1) * RATE)
            piece = record[:, begin - second * RATE : end - second * RATE]
            window[:, begin - start_sample : end - start_sample] = piece
        return window / FULL_SCALE
