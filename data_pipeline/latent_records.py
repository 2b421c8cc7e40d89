"""A clip of latents as a record, and which record of which file it is.

A record says itself where it comes from:

    4 bytes     little-endian length of the header
    header      compact JSON: `Origin`, then song, start_frame, start_s and version; spaces fill it
                up so that the values begin at a multiple of 64 bytes
    values      bfloat16 [track, frame, channel]

All records of a folder begin with the same bytes, those of its `Origin`: comparing them is how a
record of another autoencoder or of other music is refused. Where each lies follows from how long
the songs are. Of song s with f_s frames, in clips of F frames and in V versions:

(1) its clips      n_s = ceil(max(0, f_s - F) / F) + 1, side by side, the last aligned with its end
(2) a shard        holds whole consecutive songs, and ends with the first song at which it has
                   `clips_per_shard` clips or more
(3) its records    from r_s = V sum_{q < s} n_q on; clip c of version v is r_s + v n_s + c
"""

import dataclasses
import json

import ml_dtypes
import numpy as np

from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE

FORMAT = 3
ALIGNMENT = 64
_DTYPE = np.dtype(ml_dtypes.bfloat16)
_LENGTH_BYTES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """What all records of a folder have in common."""

    autoencoder: str  # fingerprint
    data: str  # fingerprint of the prepared music
    frame_rate: float  # a second
    shape: tuple[int, int, int]  # track, frame, channel
    dtype: str = _DTYPE.name
    format: int = FORMAT

    @property
    def prefix(self) -> bytes:
        """What stands after the length in each of their records."""
        return _compact(dataclasses.asdict(self))[:-1] + b','


def pack(origin: Origin, clip: np.ndarray, *, song: str, start_frame: int, version: int) -> bytes:
    """The record of a clip, float `[track, frame, channel]`, that begins at a frame of its song."""
    if clip.shape != origin.shape:
        raise ValueError(f'a clip of {clip.shape}; its folder holds {origin.shape}')
    own = {
        'song': song,
        'start_frame': start_frame,
        'start_s': round(start_frame / origin.frame_rate, 6),
        'version': version,
    }
    header = origin.prefix + _compact(own)[1:]
    header += b' ' * (-(_LENGTH_BYTES + len(header)) % ALIGNMENT)
    values = np.ascontiguousarray(clip).astype(_DTYPE)
    return len(header).to_bytes(_LENGTH_BYTES, 'little') + header + values.tobytes()


def unpack(record: bytes, origin: Origin) -> np.ndarray:
    """The values of a record, a bfloat16 view of it, `[track, frame, channel]`.

    Raises BadInput, saying what differs, where the record is of another origin.
    """
    if not record.startswith(origin.prefix, _LENGTH_BYTES):
        raise BadInput(_difference(record, origin))
    begin = _LENGTH_BYTES + int.from_bytes(record[:_LENGTH_BYTES], 'little')
    return np.frombuffer(record, _DTYPE, offset=begin).reshape(origin.shape)


def read_header(record: bytes) -> dict[str, object]:
    """What a record says of itself; raises ValueError where it is none."""
    end = _LENGTH_BYTES + int.from_bytes(record[:_LENGTH_BYTES], 'little')
    return dict(json.loads(record[_LENGTH_BYTES:end]))


def _difference(record: bytes, origin: Origin) -> str:
    try:
        found = read_header(record)
    except (ValueError, TypeError):
        return 'holds no clip of latents'
    wanted = json.loads(_compact(dataclasses.asdict(origin)))
    key = next((key for key in wanted if found.get(key) != wanted[key]), 'order of the header')
    return f'holds latents whose {key} is {found.get(key)}, not {wanted.get(key)}'


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(',', ':')).encode()


def frame_rate(hop_samples: int) -> float:
    """Frames a second."""
    return SAMPLE_RATE / hop_samples


def clip_starts(num_frames: int, clip_frames: int) -> tuple[int, ...]:
    """First frames of clips side by side, the last aligned with the end; (0,) if shorter."""
    last = max(0, num_frames - clip_frames)
    return (*range(0, last, clip_frames), last)


class Layout:
    """Equations (1) to (3) for songs of given lengths, in order.

    Attributes:
      clips: how many each song has, [song].
      first_song: of each shard, and the number of songs, [shard + 1].
      first_record: of each song, and the number of records, [song + 1].
    """

    def __init__(
        self,
        num_frames: np.ndarray,
        *,
        clip_frames: int,
        clips_per_shard: int,
        num_versions: int,
    ):
        """`num_frames` is that of each song, [song]."""
        self.clips = -(-np.maximum(0, num_frames - clip_frames) // clip_frames) + 1  # (1)
        self.first_song = _shard_begins(self.clips.tolist(), clips_per_shard)  # (2)
        self.first_record = num_versions * np.cumsum([0, *self.clips.tolist()])  # (3)

    @property
    def num_shards(self) -> int:
        return len(self.first_song) - 1

    @property
    def num_records(self) -> np.ndarray:
        """Of each shard, [shard]."""
        return np.diff(self.first_record[self.first_song])

    @property
    def names(self) -> list[str]:
        """Of the shards' files."""
        return [
            f'clips-{shard:05d}-of-{self.num_shards:05d}.array_record'
            for shard in range(self.num_shards)
        ]

    def songs_of(self, shard: int) -> range:
        return range(int(self.first_song[shard]), int(self.first_song[shard + 1]))

    def record(self, song: int, clip: int, version: int) -> int:
        return int(self.first_record[song]) + version * int(self.clips[song]) + clip


def _shard_begins(clips: list[int], clips_per_shard: int) -> np.ndarray:
    begins, held = [0], 0
    for song, count in enumerate(clips, start=1):
        held += count
        if held >= clips_per_shard or song == len(clips):
            begins.append(song)
            held = 0
    return np.array(begins)
