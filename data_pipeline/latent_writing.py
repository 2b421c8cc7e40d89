"""Encodes prepared music into a folder of latents (`latents`), on one host or on many.

1. Which clip is in which shard follows from the prepared songs alone (`latent_records.Layout`).
2. A shard is written aside and renamed. An encoding that was killed goes on at the first shard that
   is missing; one that was cut since is made again. A text table that is there and of the same
   prompts is kept.
3. Host h of H encodes the shards h, h + H, ...; host 0 writes what is about all of them, last.

The encoder is handed in: no model is known here.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.cache import is_remote
from data_pipeline.folders import open_folder, refuse_foreign, write_json
from data_pipeline.json_lines import write_json_lines
from data_pipeline.latent_records import Layout, clip_starts, pack
from data_pipeline.latents import (
    CLIPS,
    MANIFEST,
    PROMPTS,
    SONGS,
    TEXT,
    EncodedSong,
    LatentManifest,
    read_latent_manifest,
    text_origin,
)
from data_pipeline.record_files import is_whole, write_records
from data_pipeline.records import Prepared
from data_pipeline.songs import Song
from data_pipeline.text_tables import EncodeText, text_sha256, write_text
from jen1composer.errors import BadInput, RunFailed, require
from jen1composer.harmony import KEYS, UNKNOWN_KEY, known_key

CLIPS_PER_SHARD = 64
_ORIGIN = 'origin.json'
_ABOUT_ALL = (SONGS, PROMPTS, TEXT, MANIFEST)  # host 0 alone writes these
_NEVER_CHANGES = (
    'version',
    'clip_frames',
    'clips_per_shard',
    'num_versions',
    'augmentation',
    'data_fingerprint',
    'autoencoder_fingerprint',
    'text_fingerprint',
    'max_tokens',
)

Encode = Callable[[np.ndarray], np.ndarray]  # [track, sample, 2] -> [track, frame, channel]
# (stems [track, sample, 2], number of the song, version from 1 on) -> stems of the same shape
Augment = Callable[[np.ndarray, int, int], np.ndarray]


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
    clips_per_shard: int = CLIPS_PER_SHARD,
    num_versions: int = 1,
    augment: Augment | None = None,
    augmentation: Mapping[str, Any] | None = None,
    host: int = 0,
    hosts: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LatentManifest | None:
    """Encodes this host's share of `prepared` into the folder `out`; see the module docstring.

    Args:
      out: local or remote.
      prepared: the songs.
      encode: the autoencoder.
      encode_text_states: the text encoder.
      clip_frames, channels, hop_samples: of a clip, of a latent, from one frame to the next.
      autoencoder_fingerprint, text_fingerprint: name both encoders.
      text_encoder: where a composer finds its text encoder again.
      max_tokens: that the text encoder reads.
      clips_per_shard: a shard ends with the song at which it has so many, or more.
      num_versions: of each song; version 0 is the song itself.
      augment: makes the other versions.
      augmentation: describes `augment` as JSON; another one makes other latents.
      host, hosts: which share is encoded here.
      progress: is told (clips done, clips to do) of what was missing in this host's share.

    Returns:
      The manifest, on host 0; on other hosts None.

    Raises:
      BadInput: a song has no prompt; `out` is no folder, or holds latents of another origin
        (autoencoder, data, text encoder, ...) or files that are no latents.
      RunFailed: host 0 is done, but other hosts have not yet written their shards.
    """
    require(clips_per_shard >= 1, 'clips_per_shard', clips_per_shard, 'is 1 or more')
    require(num_versions >= 1, 'versions', num_versions, 'is 1 or more')
    require(num_versions == 1 or augment is not None, 'augment', augment, 'is what makes versions')
    require(0 <= host < hosts, 'host', host, f'are 0 to {hosts - 1}, the hosts')
    out = epath.Path(out)
    songs = prepared.songs()
    for song in songs:
        require(
            bool(song.prompts),
            f'{prepared.folder}: prompts of {song.id}',
            song.prompts,
            'is one or more',
        )
    prompts = sorted({prompt for song in songs for prompt in song.prompts})
    num_frames = np.array([-(-song.num_samples // hop_samples) for song in songs])
    layout = Layout(
        num_frames,
        clip_frames=clip_frames,
        clips_per_shard=clips_per_shard,
        num_versions=num_versions,
    )
    manifest = LatentManifest(
        tracks=prepared.tracks,
        clip_frames=clip_frames,
        clips_per_shard=clips_per_shard,
        channels=channels,
        hop_samples=hop_samples,
        data_fingerprint=prepared.fingerprint,
        autoencoder_fingerprint=autoencoder_fingerprint,
        text_encoder=text_encoder,
        text_fingerprint=text_fingerprint,
        max_tokens=max_tokens,
        num_songs=len(songs),
        num_clips=int(layout.clips.sum()),
        num_versions=num_versions,
        augmentation=dict(augmentation or {}),
        songs_sha256='',
        prompts_sha256='',
        text_sha256='',
        shard_bytes=(),
    )
    mine = range(host, layout.num_shards, hosts)
    names = {layout.names[shard] for shard in mine}

    def is_mine(name: str) -> bool:
        return hosts == 1 or name in names or (host == 0 and name in _ABOUT_ALL)

    _claim(out, manifest, is_mine)
    there = _whole_shards(out, layout, mine)
    todo = [shard for shard in mine if shard not in there]
    total, done = int(layout.num_records[todo].sum()), 0

    def records(shard: int) -> Iterator[bytes]:
        nonlocal done
        for number in layout.songs_of(shard):
            song, frames = songs[number], int(num_frames[number])
            # A short song is padded with silence.
            stems = prepared.read(song, 0, max(frames, clip_frames) * hop_samples)
            for version in range(num_versions):
                heard = (
                    stems if augment is None or version == 0 else augment(stems, number, version)
                )
                latents = encode(heard)
                for start in clip_starts(frames, clip_frames):
                    clip = latents[:, start : start + clip_frames]
                    yield pack(
                        manifest.origin, clip, song=song.id, start_frame=start, version=version
                    )
                    done += 1
                progress(done, total)

    for shard in todo:
        write_records(out / CLIPS / layout.names[shard], records(shard))
    if host:
        return None
    _require_all(out, layout.names, hosts)

    row = {prompt: number for number, prompt in enumerate(prompts)}
    manifest = dataclasses.replace(
        manifest,
        songs_sha256=write_json_lines(
            out / SONGS,
            (
                _described(song, int(frames), row)
                for song, frames in zip(songs, num_frames, strict=True)
            ),
        ),
        prompts_sha256=write_json_lines(out / PROMPTS, prompts),
        shard_bytes=tuple((out / CLIPS / name).stat().length for name in layout.names),
    )
    origin = text_origin(manifest, len(prompts))
    manifest = dataclasses.replace(
        manifest,
        text_sha256=text_sha256(out / TEXT, origin)
        or write_text(out / TEXT, prepared.tracks, prompts, encode_text_states, origin),
    )
    write_json(out / MANIFEST, dataclasses.asdict(manifest))
    return manifest


def _described(song: Song, num_frames: int, row: Mapping[str, int]) -> dict[str, Any]:
    bpm, key = song.tags.get('bpm'), known_key(song.tags.get('key'))
    encoded = EncodedSong(
        id=song.id,
        split=song.split,
        num_frames=num_frames,
        prompts=tuple(row[prompt] for prompt in song.prompts),
        beats_s=tuple(song.beats_s),
        bpm=float(bpm) if isinstance(bpm, int | float) else 0.0,
        key='' if key == UNKNOWN_KEY else KEYS[key],
        chords=tuple(song.chords),
    )
    return dataclasses.asdict(encoded)


def _whole_shards(out: epath.Path, layout: Layout, mine: Sequence[int]) -> set[int]:
    """Which of the shards `mine` are there and whole.

    By the sizes that a manifest noted, where there is one, and here by the count of records too.
    """
    names, there = layout.names, _listed(out)
    found = {shard for shard in mine if names[shard] in there}
    with contextlib.suppress(BadInput):
        noted = read_latent_manifest(out).shard_bytes
        found = {k for k in found if (out / CLIPS / names[k]).stat().length == noted[k]}
    if is_remote(out):
        return found
    return {k for k in found if is_whole(out / CLIPS / names[k], int(layout.num_records[k]))}


def _listed(out: epath.Path) -> set[str]:
    """The names of the shards: in a bucket there is no folder before something lies in it."""
    folder = out / CLIPS
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _require_all(out: epath.Path, names: Sequence[str], hosts: int) -> None:
    there = _listed(out)
    missing = [shard for shard, name in enumerate(names) if name not in there]
    if missing:
        more = f' and {len(missing) - 1} more' if len(missing) > 1 else ''
        raise RunFailed(
            f'{out / CLIPS / names[missing[0]]}{more}: not there yet; when --host='
            f'{", ".join(str(h) for h in sorted({shard % hosts for shard in missing}))} '
            'has ended, the command of --host=0 goes on from here'
        )


def _claim(out: epath.Path, manifest: LatentManifest, mine: Callable[[str], bool]) -> None:
    """Notes in `out` what encodes into it; refuses a folder that something else encoded into.

    What is refused is left as it was. Hosts may begin at once: what one has written is known to the
    others, and what the folder says in the end must be what each of them says.
    """
    path = out / _ORIGIN
    # By way of JSON, which knows no tuples.
    described = json.loads(json.dumps(dataclasses.asdict(manifest)))
    origin = {key: described[key] for key in _NEVER_CHANGES}
    noted = path.exists()
    if noted:
        _check_origin(path, origin)
    else:
        refuse_foreign(out, (CLIPS, _ORIGIN, *_ABOUT_ALL), 'latents')
    open_folder(out, mine)
    (out / CLIPS).mkdir(exist_ok=True)
    if not noted:
        write_json(path, origin)
        _check_origin(path, origin)


def _check_origin(path: epath.Path, origin: Mapping[str, Any]) -> None:
    try:
        found = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f'{path}: damaged ({error}); encode into another folder') from error
    for key, value in origin.items():
        if found.get(key) != value:
            raise BadInput(
                f'{path.parent}: holds latents whose {key} is {found.get(key)}, not {value}; '
                'encode into another folder'
            )
