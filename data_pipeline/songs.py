"""Rendered songs on disk, addressed by what they are made of.

    DIR/songs/<first two letters>/<key>/<track>.flac    48 kHz, 16 bits, lossless
    DIR/songs/<first two letters>/<key>/song.json       `Song`; written last

1. The key of a song is a hash of its recipe: the file or files it comes from, the settings of its
   source, its version. So a song is there or it is not, and is never a wrong one; what another run
   has made is taken as it is.
2. A song is written aside, as a folder, and renamed: under its key it is whole.
3. song.json says what the sound is, not what a data set calls it: `id`, `title`, `split`, `version`
   and `prompts` stay empty there, and whoever finds a song fills them in.
4. Samples are int16 at full scale 32768, so int16 -> float32 -> int16 is the identity.

Everything after this (records, windows, latents) is made from here and can be made again.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import soundfile
from etils import epath

from data_pipeline.folders import aside
from data_pipeline.loudness import loudness, rms_db
from jen1composer.errors import BadInput
from jen1composer.harmony import ChordChange
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

FULL_SCALE = 32768
BLOCK = 2**16
ACTIVE_DB = -60.0
SILENCE_DB = -119.9  # `loudness.rms_db` has -120 for zeros
NEAR_SILENT = 0.05  # a stem that is active in less of a song's seconds is marked
NAMES: Mapping[str, Any] = {'id': '', 'title': '', 'split': '', 'version': '', 'prompts': ()}
FLAC_LEVEL = 0.5  # of 0 to 1; beyond it files hardly shrink and take three times as long


@dataclass(frozen=True, kw_only=True)
class Song:
    """A song: what it is, what was measured, and where its sound lies.

    Attributes:
        id: its name within the data set.
        split: 'train', 'validation' or 'test'.
        key: where its sound lies; a hash of its recipe.
        title: for people.
        version: '' or the name of the pitch and speed version that it is.
        num_samples: length at 48 kHz.
        tags: what is known about the music (bpm, key, instruments of each track, ...).
        measured: which of the tags were heard rather than known.
        captions: what a person wrote about it.
        prompts: sentences that describe it, one or more.
        beats_s: when each beat falls, in seconds; empty where no beat was found.
        chords: where chords change, in seconds, and to which (`harmony`); empty: not known.
        rms_db: of each track over the whole song, dB below full scale; -120 is silence.
        active: of each track, the fraction of seconds louder than -60 dB.
        loudness_lufs: of the mix, gated; None for silence.
        source_sha256: of what the song was made from.
        audio_sha256: of its samples, all tracks.
        flac_bytes: of each track's file.
    """

    id: str
    split: str = ''
    key: str
    title: str
    version: str = ''
    num_samples: int
    tags: Mapping[str, Any]
    measured: Sequence[str] = ()
    captions: Sequence[str] = ()
    prompts: Sequence[str] = ()
    beats_s: Sequence[float] = ()
    chords: Sequence[ChordChange] = ()
    rms_db: Mapping[str, float]
    active: Mapping[str, float]
    loudness_lufs: float | None
    source_sha256: str
    audio_sha256: str
    flac_bytes: Mapping[str, int]

    @property
    def duration_s(self) -> float:
        return self.num_samples / RATE

    @property
    def num_records(self) -> int:
        """Whole and begun seconds."""
        return -(-self.num_samples // RATE)

    @property
    def near_silent(self) -> tuple[str, ...]:
        """Tracks that are there, yet hardly sound: kept, but marked."""
        return tuple(
            track
            for track, share in self.active.items()
            if share < NEAR_SILENT and self.rms_db[track] > SILENCE_DB
        )


def song_from_json(value: Mapping[str, Any]) -> Song:
    """A song as `dataclasses.asdict` gave it to JSON. Raises TypeError for another value."""
    lists = {key: tuple(x) for key, x in value.items() if isinstance(x, list)}
    lists['chords'] = tuple((float(begin), str(chord)) for begin, chord in value.get('chords', ()))
    return Song(**{**value, **lists})


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def quantise(stems: np.ndarray) -> np.ndarray:
    """float in [-1, 1] to int16, rounded to the nearest; full scale itself becomes 32767."""
    samples = np.empty(stems.shape, '<i2')
    whole, rounded = stems.reshape(-1), samples.reshape(-1)
    for start in range(0, len(whole), BLOCK):  # A block at a time stays in the processor's cache.
        block = whole[start : start + BLOCK]
        if not np.abs(block).max() <= 1.0:
            raise ValueError('stems must be finite and lie in [-1, 1]')
        rounded[start : start + BLOCK] = np.minimum(np.rint(block * FULL_SCALE), FULL_SCALE - 1)
    return samples


def song_folder(folder: epath.PathLike, key: str) -> epath.Path:
    return epath.Path(folder) / 'songs' / key[:2] / key


def write_song(folder: epath.PathLike, song: Song, stems: np.ndarray) -> Song:
    """Writes one song under its key, and returns it with what is measured filled in.

    Args:
        folder: the prepared folder.
        song: what is known; its fields from `num_samples` on, as far as they are of the sound, are
            replaced.
        stems: float32 `[track, sample, 2]` within [-1, 1] at 48 kHz.
    """
    samples = quantise(stems)
    whole = song_folder(folder, song.key)
    unfinished = aside(whole)
    unfinished.mkdir(parents=True, exist_ok=True)
    flac_bytes = {}
    for track, stem in zip(TRACKS, samples, strict=True):
        buffer = io.BytesIO()
        soundfile.write(
            buffer, stem, RATE, format='FLAC', subtype='PCM_16', compression_level=FLAC_LEVEL
        )
        (unfinished / f'{track}.flac').write_bytes(buffer.getvalue())
        flac_bytes[track] = len(buffer.getvalue())
    mix_lufs = loudness(stems.sum(axis=0))
    song = dataclasses.replace(
        song,
        num_samples=stems.shape[1],
        rms_db={t: round(rms_db(x), 1) for t, x in zip(TRACKS, stems, strict=True)},
        active={t: active_share(x) for t, x in zip(TRACKS, stems, strict=True)},
        loudness_lufs=round(mix_lufs, 1) if np.isfinite(mix_lufs) else None,
        audio_sha256=hashlib.sha256(samples).hexdigest(),
        flac_bytes=flac_bytes,
    )
    stored = dataclasses.replace(song, **NAMES)
    (unfinished / 'song.json').write_text(json.dumps(dataclasses.asdict(stored), indent=1) + '\n')
    if find_song(folder, song.key) is None:
        if whole.exists():
            whole.rmtree()
        try:
            unfinished.rename(whole)
            return song
        except OSError:
            if find_song(folder, song.key) is None:
                raise
    unfinished.rmtree()  # It was made twice at once: a copy of another song.
    return song


def active_share(stem: np.ndarray) -> float:
    """The fraction of seconds of `[sample, 2]` that are louder than -60 dB."""
    seconds = [stem[start : start + RATE] for start in range(0, len(stem), RATE)]
    return round(float(np.mean([rms_db(second) > ACTIVE_DB for second in seconds])), 3)


def find_song(folder: epath.PathLike, key: str) -> Song | None:
    """The song under `key`, without a name, if all of it is there."""
    where = song_folder(folder, key)
    try:
        song = song_from_json(json.loads((where / 'song.json').read_text()))
        sizes = {track: (where / f'{track}.flac').stat().length for track in song.flac_bytes}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return song if sizes == song.flac_bytes and song.key == key else None


def read_samples(folder: epath.PathLike, song: Song) -> np.ndarray:
    """The samples of a song, int16 `[track, sample, 2]`.

    Raises BadInput where a file is missing, damaged or of another song.
    """
    where = song_folder(folder, song.key)
    samples = np.zeros((len(TRACKS), song.num_samples, 2), '<i2')
    for stem, track in zip(samples, TRACKS, strict=True):
        path = where / f'{track}.flac'
        try:
            audio, _ = soundfile.read(io.BytesIO(path.read_bytes()), dtype='int16', always_2d=True)
            stem[:] = audio
        except (OSError, soundfile.LibsndfileError, ValueError) as error:
            raise BadInput(
                f'{path}: missing or damaged ({error}); delete its folder and prepare it again'
            ) from error
    if hashlib.sha256(samples).hexdigest() != song.audio_sha256:
        raise BadInput(f'{where}: holds other sound than song.json says; delete it, prepare again')
    return samples
