"""Encoded music on disk: clips of whitened latents with the text that goes with them.

    DIR/clips/clips-00000-of-00007.array_record   a clip of 10 to 20 s a record (`latent_records`)
    DIR/songs.jsonl           `EncodedSong`, one a line
    DIR/prompts.jsonl         each distinct prompt, one a line
    DIR/text.safetensors      token states of each prompt, in that order, and of each task prefix
    DIR/manifest.json         what encoded it, and what holds for all songs; written last

Opening reads the manifest and the songs once; shards are opened when a clip of theirs is read. The
writer is `latent_writing`.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.json_lines import JsonLines
from data_pipeline.latent_records import Layout, Origin, frame_rate, unpack
from data_pipeline.record_files import RecordFiles
from data_pipeline.songs import digest
from data_pipeline.text_tables import TextOrigin, read_text
from jen1composer.errors import BadInput
from jen1composer.harmony import ChordChange

VERSION = 3
CLIPS, SONGS, PROMPTS, TEXT, MANIFEST = (
    'clips',
    'songs.jsonl',
    'prompts.jsonl',
    'text.safetensors',
    'manifest.json',
)
REMEDY = 'run python -m launch.encode_latents again'
# What was asked for, where it lay and how it is cut into files decide nothing of what is read.
_NOT_DECIDING = ('text_encoder', 'clips_per_shard', 'shard_bytes')


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedSong:
    """What there is to know of a song, beside its clips."""

    id: str
    split: str
    num_frames: int  # of the whole song
    prompts: tuple[int, ...]  # rows of the prompt table, one or more
    beats_s: tuple[float, ...] = ()
    bpm: float = 0.0  # 0: not known
    key: str = ''  # as `harmony` writes it; '': not known
    chords: tuple[ChordChange, ...] = ()  # from when on, in seconds, and which; (): not known


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentManifest:
    """What a folder of latents holds and what made it."""

    version: int = VERSION
    tracks: tuple[str, ...]
    clip_frames: int
    clips_per_shard: int
    channels: int
    hop_samples: int
    data_fingerprint: str  # of the prepared folder
    autoencoder_fingerprint: str
    text_encoder: str  # its name
    text_fingerprint: str
    max_tokens: int  # that are read of a prompt
    num_songs: int
    num_clips: int  # of one version
    num_versions: int = 1  # version 0 is the song itself, the others are augmented
    augmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # what made them
    songs_sha256: str
    prompts_sha256: str
    text_sha256: str
    shard_bytes: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the batches drawn from here."""
        deciding = dataclasses.asdict(self)
        return digest({k: v for k, v in deciding.items() if k not in _NOT_DECIDING})

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return frame_rate(self.hop_samples)

    @property
    def origin(self) -> Origin:
        """What all records have in common."""
        return Origin(
            autoencoder=self.autoencoder_fingerprint,
            data=self.data_fingerprint,
            frame_rate=self.frame_rate,
            shape=(len(self.tracks), self.clip_frames, self.channels),
        )


def text_origin(manifest: LatentManifest, num_prompts: int) -> TextOrigin:
    """What the folder's token states are of."""
    return TextOrigin(
        num_tracks=len(manifest.tracks),
        num_prompts=num_prompts,
        prompts_sha256=manifest.prompts_sha256,
        text_fingerprint=manifest.text_fingerprint,
        max_tokens=manifest.max_tokens,
    )


class Latents:
    """A folder of latents, open for reading; usable from many threads, picklable.

    Attributes:
      folder: where it is, on this machine or not.
      manifest: what it holds.
      layout: which clip is where.
      prompts: each distinct prompt.
      text: their token states, and those of the task prefixes.
      num_frames: of each song, [song].
      records: all clips as bytes, as they lie; `for record in latents.records` reads everything.
    """

    def __init__(self, folder: epath.PathLike, cache: str | None = None):
        """Opens a folder; `cache` is where its files are copied to first, see `cache.local`.

        Raises BadInput, naming it, where it is no whole folder of latents.
        """
        self.folder = epath.Path(folder)
        self.manifest = manifest = read_latent_manifest(self.folder)
        self._cache = cache
        self._songs = self._lines(SONGS, manifest.songs_sha256)
        self.prompts = self._lines(PROMPTS, manifest.prompts_sha256)
        self.text = self._read_text()

        rows: list[int] = []
        ends, frames, splits = [0], [], []
        for song in self._songs:  # Beats are read when they are asked for.
            rows.extend(song['prompts'])
            ends.append(len(rows))
            frames.append(song['num_frames'])
            splits.append(song['split'])
        self.num_frames = np.array(frames)
        self._splits = np.array(splits)
        self._prompt_rows, self._prompt_ends = np.array(rows), np.array(ends)

        self.layout = Layout(
            self.num_frames,
            clip_frames=manifest.clip_frames,
            clips_per_shard=manifest.clips_per_shard,
            num_versions=manifest.num_versions,
        )
        self._check_shards()
        self.records = RecordFiles(
            self.folder / CLIPS,
            self.layout.names,
            self.layout.num_records,
            num_bytes=manifest.shard_bytes,
            remedy=REMEDY,
            cache=cache,
        )
        self._origin = manifest.origin

    def songs(self, split: str) -> np.ndarray:
        """The numbers of the songs of a split, ascending."""
        return np.flatnonzero(self._splits == split)

    def song(self, song: int) -> EncodedSong:
        """What is known of song number `song`."""
        return _song(self._songs[song])

    def prompt_rows(self, song: int) -> np.ndarray:
        """The rows of its prompts in `text` and `prompts`, one or more."""
        return self._prompt_rows[self._prompt_ends[song] : self._prompt_ends[song + 1]]

    def read(
        self, song: int, clip: int, begin: int = 0, end: int | None = None, version: int = 0
    ) -> np.ndarray:
        """Frames `begin` to `end` of a clip, float32 `[track, frame, channel]`."""
        return self.view(song, clip, version)[:, begin:end].astype(np.float32)

    def view(self, song: int, clip: int, version: int = 0) -> np.ndarray:
        """A clip as it is stored, bfloat16 `[track, frame, channel]`, not to be written to.

        Raises BadInput, naming the file, where it is damaged or of another autoencoder.
        """
        record = self.layout.record(song, clip, version)
        data = self.records[record]
        try:
            return unpack(data, self._origin)
        except (BadInput, ValueError) as error:
            path = self.records.path(self.records.file_of(record))
            raise BadInput(f'{path}: {error}; delete it and {REMEDY}') from error

    def _lines(self, name: str, sha256: str) -> JsonLines:
        return JsonLines(self.folder / name, sha256, remedy=REMEDY, cache=self._cache)

    def _read_text(self) -> Any:
        origin = text_origin(self.manifest, len(self.prompts))
        return read_text(self.folder / TEXT, origin, remedy=REMEDY, cache=self._cache)

    def _check_shards(self) -> None:
        """Raises BadInput where a shard is missing: one look at the folder, not one at each."""
        folder = self.folder / CLIPS
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        for name in self.layout.names:
            if name not in there:
                raise BadInput(f'{folder / name}: missing; {REMEDY}')

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != 'text'}  # mapped, not copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.text = self._read_text()


def read_latent_manifest(folder: epath.Path) -> LatentManifest:
    """Reads the manifest; raises BadInput where `folder` is not one of this version."""
    path = folder / MANIFEST
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(
                f'{path}: version {value["version"]}; allowed is {VERSION}, '
                'run python -m launch.encode_latents again into another folder'
            )
        value |= {key: tuple(value[key]) for key in ('tracks', 'shard_bytes')}
        return LatentManifest(**value)
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{folder}: not a folder of latents ({type(error).__name__}: {error}); '
            'make one with python -m launch.encode_latents'
        ) from error


def _song(value: Mapping[str, Any]) -> EncodedSong:
    tuples: dict[str, Sequence[Any]] = {k: tuple(value[k]) for k in ('prompts', 'beats_s')}
    tuples['chords'] = tuple((begin, chord) for begin, chord in value.get('chords', ()))
    return EncodedSong(**{**value, **tuples})
