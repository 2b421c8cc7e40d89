"""Folders as Hugging Face keeps models in: what may be wrong with one is said in one line.

    FOLDER/config.json        sizes
    FOLDER/tokenizer.json     the tokenizer
    FOLDER/model.safetensors  the weights in float32, bfloat16 or float16, or, in several files,
    FOLDER/model.safetensors.index.json, which says which file holds which weight

Every function raises BadInput, naming the file, what is wrong with it and what is allowed.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import tokenizers
from etils import epath

from jen1composer.errors import BadInput

CONFIG, TOKENIZER, WEIGHTS = 'config.json', 'tokenizer.json', 'model.safetensors'
INDEX = f'{WEIGHTS}.index.json'
FLOATS = ('F32', 'BF16', 'F16')


def read_file(path: epath.Path, kind: str) -> bytes:
    """The bytes of `path`; `kind` is what folder was expected: 'a Hugging Face folder of a T5'."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f'{path}: cannot be read ({error}); allowed is {kind}') from error


def read_json(path: epath.Path, kind: str) -> dict[str, Any]:
    """The object that `path` holds; `kind` as in `read_file`."""
    text = read_file(path, kind)
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise BadInput(f'{path}: cut short or not JSON ({error})') from error


def read_tokenizer(
    folder: epath.Path, kind: str, vocabulary: int
) -> tuple[tokenizers.Tokenizer, bytes]:
    """The tokenizer, which truncates and pads nothing, and the bytes of its file.

    Args:
      folder: where it is.
      kind: as in `read_file`.
      vocabulary: how many tokens the model knows.
    """
    path = folder / TOKENIZER
    text = read_file(path, kind)
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(text)
    except Exception as error:  # What tokenizers raises for a damaged file is no subclass.
        raise BadInput(f'{path}: cut short or not a tokenizer ({error})') from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = tokenizer.get_vocab_size()
    if size > vocabulary:
        raise BadInput(f'{path}: {size} tokens; the config allows {vocabulary}')
    return tokenizer, text


def weight_files(folder: epath.Path) -> Mapping[str, epath.Path]:
    """Every weight's file, by the weight's name there."""
    path, index = folder / WEIGHTS, folder / INDEX
    if path.exists():
        return dict.fromkeys(_open(path).keys(), path)
    if not index.exists():
        raise BadInput(f'{path}: missing, and so is {INDEX}; allowed is one of them')
    try:
        weight_map = read_json(index, f'an {INDEX}')['weight_map']
        return {name: folder / file for name, file in weight_map.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'{index}: holds no weight_map') from error


def read_weights(
    folder: epath.Path,
    found: Mapping[str, epath.Path],
    names: Mapping[str, str],
    shapes: Mapping[str, tuple[int, ...]],
    asked_by: str = CONFIG,
) -> dict[str, np.ndarray]:
    """The weights of `names` in float32, as they lie in the files.

    Args:
      folder: where they are.
      found: their files, by `weight_files`.
      names: our path of each weight -> its name there.
      shapes: the shape of each there, by our path.
      asked_by: what says that there are these weights.
    """
    for name in names.values():
        if name not in found:
            raise BadInput(f'{folder}: its weights hold no {name}, which {asked_by} asks for')
    files = {path: _open(path) for path in {found[name] for name in names.values()}}
    weights = {}
    for path, name in names.items():
        try:
            described = files[found[name]].get_slice(name)
        except safetensors.SafetensorError as error:
            raise BadInput(f'{found[name]}: holds no {name}; {INDEX} says it does') from error
        kind, there = described.get_dtype(), tuple(described.get_shape())
        if kind not in FLOATS or there != shapes[path]:
            raise BadInput(
                f'{found[name]}: {name} is {kind} {list(there)}; allowed are '
                f'{", ".join(FLOATS)} and {list(shapes[path])}'
            )
        weights[path] = np.asarray(files[found[name]].get_tensor(name), np.float32)
    return weights


def _open(path: epath.Path) -> Any:
    """A safetensors file, of which only what is asked for is read."""
    try:
        return safetensors.safe_open(os.fspath(path), framework='numpy')
    except (OSError, safetensors.SafetensorError) as error:
        raise BadInput(f'{path}: missing, cut short or not a safetensors file ({error})') from error
