"""Token states of every prompt and every task prefix, each encoded once, in one safetensors file.

Prompts may be many: they are encoded and written a few at a time, and mapped into memory when they
are read, so that what is held at once is what is looked at. For that the file is laid out by hand
(8 bytes of length, a JSON header, the arrays in its order); safetensors reads it as any other.
"""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable, Sequence

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextTables:
    """Token states of each prompt and of each task prefix (row = task id), with masks."""

    prompt: np.ndarray  # [prompt, token, width] float32
    prompt_mask: np.ndarray  # [prompt, token] bool
    prefix: np.ndarray  # [2 ** track, token, width] float32; row 0 is no task and holds zeros
    prefix_mask: np.ndarray  # [2 ** track, token] bool


def write_text(
    path: epath.Path, tracks: Sequence[str], prompts: Sequence[str], encode: EncodeText
) -> None:
    """Encodes each of `prompts`, one or more, and each task prefix once, apart from each other."""
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
        }
    )
    with writing(path) as unfinished, unfinished.open('wb') as file:
        file.write(len(header).to_bytes(_LENGTH_BYTES, 'little') + header)
        for states, mask in itertools.chain([(states, mask)], parts):  # noqa: B020
            file.write(np.ascontiguousarray(states, _DTYPES['F32']))
            masks.append(mask)
        file.write(np.ascontiguousarray(np.concatenate(masks), _DTYPES['BOOL']))
        file.write(np.ascontiguousarray(prefix, _DTYPES['F32']))
        file.write(np.ascontiguousarray(prefix_mask, _DTYPES['BOOL']))


def read_text(path: epath.Path, *, remedy: str, cache: str | None = None) -> TextTables:
    """Opens the tables; raises BadInput where the file is missing, cut off or damaged."""
    try:
        file = local(path, cache)
        with file.open('rb') as opened:
            length = int.from_bytes(opened.read(_LENGTH_BYTES), 'little')
            header = json.loads(opened.read(min(length, file.stat().st_size)))
        begin = _LENGTH_BYTES + length
        mapped = {
            name: np.memmap(
                file, _DTYPES[of['dtype']], 'r', begin + of['data_offsets'][0], tuple(of['shape'])
            )
            for name, of in header.items()
        }
        small = {name: np.array(mapped[name]) for name in ('prefix', 'prefix_mask')}
        return TextTables(
            **{name: array.view(np.ndarray) for name, array in mapped.items()} | small
        )
    except BadInput:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'{path}: missing, cut off or damaged ({error}); {remedy}') from error


def _encode_prefixes(tracks: Sequence[str], encode: EncodeText) -> tuple[np.ndarray, np.ndarray]:
    """States and masks of all tasks, as long as the longest; row 0 is no task and is empty."""
    states, mask = encode([task_prefix(tracks, task) for task in range(1, 1 << len(tracks))])
    mask = mask[:, : int(mask.sum(1).max())]
    states = states[:, : mask.shape[1]]
    return (
        np.concatenate([np.zeros_like(states[:1]), states]),
        np.concatenate([np.zeros_like(mask[:1]), mask]),
    )


def _header(arrays: dict[str, tuple[str, tuple[int, ...]]]) -> bytes:
    """The JSON header of `arrays`, name -> (type, shape), that lie one after the other."""
    described, begin = {}, 0
    for name, (dtype, shape) in arrays.items():
        end = begin + math.prod(shape) * _DTYPES[dtype].itemsize
        described[name] = {'dtype': dtype, 'shape': shape, 'data_offsets': (begin, end)}
        begin = end
    header = json.dumps(described).encode()
    return header + b' ' * (-(_LENGTH_BYTES + len(header)) % _ALIGNMENT)
