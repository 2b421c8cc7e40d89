"""Token states of every prompt and every task prefix, each encoded once, in one safetensors file.

Prompts may be many: they are encoded and written a few at a time, and mapped into memory when they
are read, so that what is held at once is what is looked at. For that the file is laid out by hand
(8 bytes of length, a JSON header, the arrays in its order); safetensors reads it as any other. The
header says what the states are of, so a table of other prompts is not taken for this one.
"""

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from data_pipeline.cache import local, writing
from jen1composer.errors import BadInput
from jen1composer.tracks import task_prefix

EncodeText = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]  # -> states, mask

_AT_ONCE = 1024  # prompts
_DTYPES = {'F32': np.dtype('<f4'), 'BOOL': np.dtype('?')}
_ALIGNMENT = 64
_LENGTH_BYTES = 8
# What reading a header raises that is none, or not one of these tables.
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError)
_METADATA = '__metadata__'  # safetensors' name for strings about a file


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTables:
    """Token states of each prompt and of each task prefix (row = task id), with masks."""

    prompt: np.ndarray  # [prompt, token, width] float32
    prompt_mask: np.ndarray  # [prompt, token] bool
    prefix: np.ndarray  # [2 ** track, token, width] float32; row 0 is no task and holds zeros
    prefix_mask: np.ndarray  # [2 ** track, token] bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextOrigin:
    """What the token states of a folder are of."""

    num_tracks: int
    num_prompts: int
    prompts_sha256: str  # of the file of prompts
    text_fingerprint: str  # of the encoder
    max_tokens: int

    @property
    def metadata(self) -> dict[str, str]:
        return {key: str(value) for key, value in dataclasses.asdict(self).items()}

    def check(self, header: Mapping[str, Any], num_bytes: int) -> None:
        """Raises ValueError where a file of that header and length is not whole or of another."""
        found = header.get(_METADATA, {})
        for key, value in self.metadata.items():
            if found.get(key) != value:
                raise ValueError(f'its {key} is {found.get(key)}, not {value}')
        arrays = {name: of for name, of in header.items() if name != _METADATA}
        wanted = {
            'prompt': (self.num_prompts, self.max_tokens),
            'prompt_mask': (self.num_prompts, self.max_tokens),
            'prefix': (1 << self.num_tracks,),
            'prefix_mask': (1 << self.num_tracks,),
        }
        for name, shape in wanted.items():
            if tuple(arrays[name]['shape'][: len(shape)]) != shape:
                raise ValueError(f'its {name} is {arrays[name]["shape"]}, not {list(shape)}')
        end = max(of['data_offsets'][1] for of in arrays.values())
        if num_bytes != end:
            raise ValueError(f'{num_bytes} bytes of states, not {end}')


def write_text(
    path: epath.Path,
    tracks: Sequence[str],
    prompts: Sequence[str],
    encode: EncodeText,
    origin: TextOrigin,
) -> str:
    """Encodes each of `prompts`, one or more, and each task prefix once, apart from each other.

    Returns the file's SHA-256.
    """
    prefix, prefix_mask = _encode_prefixes(tracks, encode)
    parts = (
        encode(list(prompts[begin : begin + _AT_ONCE]))
        for begin in range(0, len(prompts), _AT_ONCE)
    )
    states, mask = next(parts)
    masks = []
    header = _header(
        {
            'prompt': ('F32', (len(prompts), *states.shape[1:])),
            'prompt_mask': ('BOOL', (len(prompts), *mask.shape[1:])),
            'prefix': ('F32', prefix.shape),
            'prefix_mask': ('BOOL', prefix_mask.shape),
        },
        origin.metadata,
    )
    with writing(path) as unfinished, unfinished.open('w+b') as file:
        file.write(len(header).to_bytes(_LENGTH_BYTES, 'little') + header)
        for states, mask in itertools.chain([(states, mask)], parts):  # noqa: B020
            file.write(np.ascontiguousarray(states, _DTYPES['F32']))
            masks.append(mask)
        file.write(np.ascontiguousarray(np.concatenate(masks), _DTYPES['BOOL']))
        file.write(np.ascontiguousarray(prefix, _DTYPES['F32']))
        file.write(np.ascontiguousarray(prefix_mask, _DTYPES['BOOL']))
        file.seek(0)
        return hashlib.file_digest(file, 'sha256').hexdigest()


def text_sha256(path: epath.Path, origin: TextOrigin) -> str | None:
    """The SHA-256 of the file; None where it is missing, not whole or of another origin."""
    try:
        num_bytes = path.stat().length
        with path.open('rb') as file:
            header, begin = _read_header(file, num_bytes)
            origin.check(header, num_bytes - begin)
            file.seek(0)
            return hashlib.file_digest(file, 'sha256').hexdigest()
    except (OSError, *_DAMAGE):
        return None


def read_text(
    path: epath.Path, origin: TextOrigin, *, remedy: str, cache: str | None = None
) -> TextTables:
    """Opens the tables; raises BadInput where they are missing, not whole or of another origin.

    Of the states themselves nothing is read but the small part that is the prefixes.
    """
    try:
        file = local(path, cache)
        num_bytes = file.stat().st_size
        with file.open('rb') as opened:
            header, begin = _read_header(opened, num_bytes)
        origin.check(header, num_bytes - begin)
        mapped = {
            name: np.memmap(
                file, _DTYPES[of['dtype']], 'r', begin + of['data_offsets'][0], tuple(of['shape'])
            )
            for name, of in header.items()
            if name != _METADATA
        }
        small = {name: np.array(mapped[name]) for name in ('prefix', 'prefix_mask')}
        return TextTables(
            **{name: array.view(np.ndarray) for name, array in mapped.items()} | small
        )
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f'{path}: missing; {remedy}') from error
    except (OSError, *_DAMAGE) as error:
        raise BadInput(f'{path}: cut off, damaged or of another ({error}); {remedy}') from error


def _read_header(file: BinaryIO, num_bytes: int) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), 'little')
    return json.loads(file.read(min(length, num_bytes))), _LENGTH_BYTES + length


def _encode_prefixes(tracks: Sequence[str], encode: EncodeText) -> tuple[np.ndarray, np.ndarray]:
    """States and masks of all tasks, as long as the longest; row 0 is no task and is empty."""
    states, mask = encode([task_prefix(tracks, task) for task in range(1, 1 << len(tracks))])
    mask = mask[:, : int(mask.sum(1).max())]
    states = states[:, : mask.shape[1]]
    return (
        np.concatenate([np.zeros_like(states[:1]), states]),
        np.concatenate([np.zeros_like(mask[:1]), mask]),
    )


def _header(arrays: dict[str, tuple[str, tuple[int, ...]]], metadata: Mapping[str, str]) -> bytes:
    """The JSON header of `arrays`, name -> (type, shape), that lie one after the other."""
    described: dict[str, Any] = {_METADATA: metadata}
    begin = 0
    for name, (dtype, shape) in arrays.items():
        end = begin + math.prod(shape) * _DTYPES[dtype].itemsize
        described[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': (begin, end)}
        begin = end
    header = json.dumps(described).encode()
    return header + b' ' * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
