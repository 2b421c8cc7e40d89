"""Encoded music on disk: clips of whitened latents with the text that goes with them.

    DIR/clips/<song id>.array_record   one clip a record: float16 [track, frame, channel]
    DIR/text.safetensors               token states of every distinct prompt and every task prefix
    DIR/manifest.json                  what encoded it, and where each clip lies; written last

A song is encoded whole and cut into clips of equal length side by side; the last one is aligned
with the song's end and may overlap. A song's clips are written aside and renamed, and an encoding
that is run again keeps the songs that are whole. The encoder is handed in: no model is known here.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from array_record.python.array_record_module import ArrayRecordWriter
from etils import epath
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from data_pipeline.folders import aside, open_folder, refuse_foreign
from data_pipeline.records import READER_OPTIONS, WRITER_OPTIONS, Prepared, Song, digest, write_json
from jen1composer.errors import BadInput
from jen1composer.tracks import task_prefix

VERSION = 2

Encode = Callable[[np.ndarray], np.ndarray]  # [track, sample, 2] -> [track, frame, channel]
EncodeText = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]  # -> states, mask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clips:
    """The clips of one song."""

    id: str
    split: str
    prompt: str
    num_frames: int  # of the whole song
    starts: tuple[int, ...]  # first frame of each clip


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentManifest:
    """What a folder of latents holds and what made it."""

    version: int = VERSION
    tracks: tuple[str, ...]
    clip_frames: int
    channels: int
    hop_samples: int
    data_fingerprint: str  # of the prepared folder
    autoencoder_fingerprint: str
    text_fingerprint: str
    max_tokens: int  # that are read of a prompt
    prompts: tuple[str, ...]  # row r of the prompt table is prompts[r]
    songs: tuple[Clips, ...]
    text_encoder: str = 'minilm'  # its name; manifests without it are of the only one there was

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides the batches drawn from here."""
        deciding = dataclasses.asdict(self)
        del deciding['text_encoder']  # where it lay; which one it was, its fingerprint tells
        return digest(deciding)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTables:
    """Token states of each prompt and of each task prefix (row = task id), with masks."""

    prompt: np.ndarray  # [prompt, token, width] float32
    prompt_mask: np.ndarray  # [prompt, token] bool
    prefix: np.ndarray  # [2 ** track, token, width] float32; row 0 is no task and holds zeros
    prefix_mask: np.ndarray  # [2 ** track, token] bool


def clip_starts(num_frames: int, clip_frames: int) -> tuple[int, ...]:
    """First frames of clips side by side, the last aligned with the end; (0,) if shorter."""
    last = max(0, num_frames - clip_frames)
    return (*range(0, last, clip_frames), last)


def encode_text(tracks: Sequence[str], prompts: Sequence[str], encode: EncodeText) -> TextTables:
    """Encodes each prompt and each task prefix once, apart from each other."""
    tasks = range(1, 1 << len(tracks))
    prefix, prefix_mask = encode([task_prefix(tracks, task) for task in tasks])
    prefix_mask = prefix_mask[:, : int(prefix_mask.sum(1).max())]  # as long as the longest
    prefix = prefix[:, : prefix_mask.shape[1]]
    prompt, prompt_mask = encode(list(prompts))
    return TextTables(
        prompt=prompt,
        prompt_mask=prompt_mask,
        prefix=np.concatenate([np.zeros_like(prefix[:1]), prefix]),
        prefix_mask=np.concatenate([np.zeros_like(prefix_mask[:1]), prefix_mask]),
    )


def write_latents(
    out: epath.PathLike,
    prepared: Prepared,
    *,
    encode: Encode,
    encode_text_states: EncodeText,
    clip_frames: int,
    channels: int,
    hop_samples: int,
    autoencoder_fingerprint: str,
    text_encoder: str,
    text_fingerprint: str,
    max_tokens: int,
    progress: Callable[[Sequence[Song]], Iterable[Song]] = lambda songs: songs,
) -> LatentManifest:
    """Encodes every song of `prepared` into the folder `out`; see the module docstring.

    Raises BadInput where `out` is no folder, or holds latents of another origin (autoencoder,
    data, text encoder, ...) or files that are no latents.
    """
    out = epath.Path(out)
    songs = prepared.songs()
    origin = {
        'version': VERSION,
        'clip_frames': clip_frames,
        'data_fingerprint': prepared.fingerprint,
        'autoencoder_fingerprint': autoencoder_fingerprint,
        'text_fingerprint': text_fingerprint,
        'max_tokens': max_tokens,
    }
    _claim(out, origin)
    prompts = tuple(sorted({prompt for song in songs for prompt in song.prompts}))
    manifest = LatentManifest(
        tracks=prepared.tracks,
        clip_frames=clip_frames,
        channels=channels,
        hop_samples=hop_samples,
        data_fingerprint=prepared.fingerprint,
        autoencoder_fingerprint=autoencoder_fingerprint,
        text_encoder=text_encoder,
        text_fingerprint=text_fingerprint,
        max_tokens=max_tokens,
        prompts=prompts,
        songs=tuple(
            Clips(
                id=song.id,
                split=song.split,
                prompt=song.prompts[0],
                num_frames=-(-song.num_samples // hop_samples),
                starts=clip_starts(-(-song.num_samples // hop_samples), clip_frames),
            )
            for song in songs
        ),
    )
    for song, clips in zip(progress(songs), manifest.songs, strict=True):
        path = _clip_file(out, song.id)
        if not path.exists():
            num_frames = max(clips.num_frames, clip_frames)  # a short song is padded with silence
            latents = encode(prepared.read(song, 0, num_frames * hop_samples))
            _write_clips(path, latents, clips.starts, clip_frames)
    tables = encode_text(prepared.tracks, prompts, encode_text_states)
    # Contiguous, since safetensors writes another order of axes as it lies in memory.
    arrays = {k: np.ascontiguousarray(v) for k, v in dataclasses.asdict(tables).items()}
    text = out / 'text.safetensors'
    save_file(arrays, os.fspath(aside(text)))
    aside(text).replace(text)
    write_json(out / 'manifest.json', dataclasses.asdict(manifest))
    return manifest


class Latents:
    """A folder of latents, open for reading; usable from many threads."""

    def __init__(self, folder: epath.PathLike):
        """Opens a folder; raises BadInput, naming it, where it is no whole folder of latents."""
        self.folder = epath.Path(folder)
        self.manifest = _read_manifest(self.folder)
        self.text = _read_text(self.folder / 'text.safetensors')
        self._clips = [
            _open_clips(_clip_file(self.folder, song.id), len(song.starts))
            for song in self.manifest.songs
        ]

    def songs(self, split: str) -> list[int]:
        """Positions in `manifest.songs` of the songs of a split."""
        return [i for i, song in enumerate(self.manifest.songs) if song.split == split]

    def read(self, song: int, clip: int) -> np.ndarray:
        """One clip, float32 `[track, frame, channel]`."""
        manifest = self.manifest
        data = self._clips[song][clip]
        shape = (len(manifest.tracks), manifest.clip_frames, manifest.channels)
        return np.frombuffer(data, '<f2').reshape(shape).astype(np.float32)


def _clip_file(folder: epath.Path, song_id: str) -> epath.Path:
    return folder / 'clips' / f'{song_id}.array_record'


def _write_clips(
    path: epath.Path, latents: np.ndarray, starts: Sequence[int], clip_frames: int
) -> None:
    unfinished = aside(path)
    writer = ArrayRecordWriter(os.fspath(unfinished), WRITER_OPTIONS)
    for start in starts:
        clip = latents[:, start : start + clip_frames].astype('<f2')
        writer.write(np.ascontiguousarray(clip).tobytes())
    writer.close()
    unfinished.replace(path)


def _open_clips(path: epath.Path, num_clips: int) -> ArrayRecordDataSource:
    """The clips of one song; raises BadInput where they are not all there."""
    remedy = 'delete it and run python -m launch.encode_latents again'
    if not path.exists():
        raise BadInput(f'{path}: missing; run python -m launch.encode_latents again')
    try:
        clips = ArrayRecordDataSource([os.fspath(path)], READER_OPTIONS)
        found = len(clips)
    except (OSError, RuntimeError) as error:  # What array_record raises for a damaged file.
        raise BadInput(f'{path}: cut off or damaged ({error}); {remedy}') from error
    if found != num_clips:
        raise BadInput(f'{path}: holds {found} clips, the manifest says {num_clips}; {remedy}')
    return clips


def _read_text(path: epath.Path) -> TextTables:
    try:
        return TextTables(**load_file(os.fspath(path)))
    except (OSError, SafetensorError, TypeError) as error:
        raise BadInput(
            f'{path}: missing, cut off or damaged ({error}); '
            'run python -m launch.encode_latents again'
        ) from error


def _claim(out: epath.Path, origin: Mapping[str, Any]) -> None:
    """Notes in `out` what encodes into it; refuses a folder that something else encoded into."""
    path = out / 'origin.json'
    if not path.exists():
        refuse_foreign(out, ('clips',), 'latents')
    open_folder(out)
    if path.exists():
        try:
            found = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f'{path}: damaged ({error}); encode into another folder') from error
        for key, value in origin.items():
            if found.get(key) != value:
                raise BadInput(
                    f'{out}: holds latents whose {key} is {found.get(key)}, not {value}; '
                    'encode into another folder'
                )
        return
    (out / 'clips').mkdir(exist_ok=True)
    write_json(path, origin)


def _read_manifest(folder: epath.Path) -> LatentManifest:
    path = folder / 'manifest.json'
    try:
        value = json.loads(path.read_text())
        if value['version'] != VERSION:
            raise BadInput(f'{path}: version {value["version"]}; allowed is {VERSION}')
        songs = tuple(Clips(**{**s, 'starts': tuple(s['starts'])}) for s in value.pop('songs'))
        value |= {key: tuple(value[key]) for key in ('tracks', 'prompts')}
        return LatentManifest(**value, songs=songs)
    except BadInput:
        raise
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'{folder}: not a folder of latents ({type(error).__name__}: {error}); '
            'make one with python -m launch.encode_latents'
        ) from error
