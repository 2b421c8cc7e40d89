"""The encoder of a T5 from the folder that Hugging Face keeps it in.

    FOLDER/config.json        sizes; the folder may be of a whole T5, whose decoder is not read
    FOLDER/tokenizer.json     the tokenizer, which ends every text with </s>
    FOLDER/model.safetensors  the weights in float32, bfloat16 or float16, or, in several files,
    FOLDER/model.safetensors.index.json, which says which file holds which weight

The fingerprint is a SHA-256 of what decides the states: the encoder's sizes, the tokenizer's file,
and the encoder's weights as float32. So it is the same for a copy in one file, in several, or
without the decoder, and another one as soon as a single weight differs.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import tokenizers
from etils import epath
from flax import traverse_util
from flax.linen import unbox

from jen1composer.errors import BadInput, require
from jen1composer.models.t5 import T5Config, T5Encoder, config_from_hugging_face, weight_names

CONFIG, TOKENIZER, WEIGHTS = 'config.json', 'tokenizer.json', 'model.safetensors'
INDEX = f'{WEIGHTS}.index.json'
FLOATS = ('F32', 'BF16', 'F16')
OTHER_NAMES = {'shared.weight': 'encoder.embed_tokens.weight'}  # one embedding, tied: either is it
END = 1  # the token </s>, where config.json does not say


@dataclasses.dataclass(frozen=True, kw_only=True)
class T5Folder:
    """What a folder holds of the encoder."""

    config: T5Config
    params: Any  # of `T5Encoder`, float32
    tokenizer: tokenizers.Tokenizer  # truncates nothing and pads nothing
    fingerprint: str  # SHA-256, in hexadecimal


def read_t5(folder: epath.PathLike) -> T5Folder:
    """Reads `folder`; raises BadInput, naming the file that is missing, damaged or not a T5's."""
    folder = epath.Path(folder)
    config, end = _read_config(folder / CONFIG)
    tokenizer, text = _read_tokenizer(folder, config, end)
    fingerprint = hashlib.sha256(json.dumps(dataclasses.asdict(config), sort_keys=True).encode())
    fingerprint.update(text)
    weights = _read_weights(folder, config)
    params = {}
    for path in sorted(weights):
        fingerprint.update(np.ascontiguousarray(weights[path]))
        params[path] = jnp.asarray(weights[path].T if path.endswith('/kernel') else weights[path])
    return T5Folder(
        config=config,
        params=traverse_util.unflatten_dict(params, sep='/'),
        tokenizer=tokenizer,
        fingerprint=fingerprint.hexdigest(),
    )


def _read_config(path: epath.Path) -> tuple[T5Config, int]:
    """The sizes, and the number of the token that ends a text."""
    value = _read_json(path)
    end = value.get('eos_token_id', END)
    require(isinstance(end, int), f'{path}: eos_token_id', end, 'is the number of a token')
    try:
        return config_from_hugging_face(value), end
    except (BadInput, TypeError, ValueError) as error:
        raise BadInput(f'{path}: {error}') from error


def _read_tokenizer(
    folder: epath.Path, config: T5Config, end: int
) -> tuple[tokenizers.Tokenizer, bytes]:
    """The tokenizer and the bytes of its file."""
    path = folder / TOKENIZER
    if not path.exists() and (folder / 'spiece.model').exists():
        raise BadInput(
            f'{path}: missing, and spiece.model is not read; where transformers is installed, '
            f"AutoTokenizer.from_pretrained('{folder}').save_pretrained('{folder}') writes it"
        )
    text = _read(path)
    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(text)
    except Exception as error:  # What tokenizers raises for a damaged file is no subclass.
        raise BadInput(f'{path}: cut short or not a tokenizer ({error})') from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = tokenizer.get_vocab_size()
    if size > config.vocab_size:
        raise BadInput(f'{path}: {size} tokens; the config allows {config.vocab_size}')
    ids = tokenizer.encode('').ids
    if ids[-1:] != [end]:
        raise BadInput(f'{path}: makes the tokens {ids} of no words; allowed is to end with {end}')
    return tokenizer, text


def _read_weights(folder: epath.Path, config: T5Config) -> dict[str, np.ndarray]:
    """The encoder's weights in float32, as they lie in the files, by the path of our parameter."""
    found = _weight_files(folder)
    names = {
        path: name if name in found else OTHER_NAMES.get(name, name)
        for path, name in weight_names(config).items()
    }
    for name in names.values():
        if name not in found:
            raise BadInput(f'{folder}: its weights hold no {name}, which {CONFIG} asks for')
    files = {path: _open(path) for path in {found[name] for name in names.values()}}
    shapes = _shapes(config)
    weights = {}
    for path, name in names.items():
        shape = shapes[path][::-1] if path.endswith('/kernel') else shapes[path]
        try:
            described = files[found[name]].get_slice(name)
        except safetensors.SafetensorError as error:
            raise BadInput(f'{found[name]}: holds no {name}; {INDEX} says it does') from error
        kind, there = described.get_dtype(), tuple(described.get_shape())
        if kind not in FLOATS or there != shape:
            raise BadInput(
                f'{found[name]}: {name} is {kind} {list(there)}; allowed are '
                f'{", ".join(FLOATS)} and {list(shape)}'
            )
        weights[path] = np.asarray(files[found[name]].get_tensor(name), np.float32)
    return weights


def _weight_files(folder: epath.Path) -> Mapping[str, epath.Path]:
    """Every weight's file, by Hugging Face's name of the weight."""
    path, index = folder / WEIGHTS, folder / INDEX
    if path.exists():
        return dict.fromkeys(_open(path).keys(), path)
    if not index.exists():
        raise BadInput(f'{path}: missing, and so is {INDEX}; allowed is one of them')
    try:
        return {name: folder / file for name, file in _read_json(index)['weight_map'].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f'{index}: holds no weight_map') from error


def _open(path: epath.Path) -> Any:
    """A safetensors file, of which only what is asked for is read."""
    try:
        return safetensors.safe_open(os.fspath(path), framework='numpy')
    except (OSError, safetensors.SafetensorError) as error:
        raise BadInput(f'{path}: missing, cut short or not a safetensors file ({error})') from error


def _read(path: epath.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            f'{path}: cannot be read ({error}); allowed is a Hugging Face folder of a T5'
        ) from error


def _read_json(path: epath.Path) -> dict[str, Any]:
    text = _read(path)
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise BadInput(f'{path}: cut short or not JSON ({error})') from error


def _shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of `T5Encoder`, by path."""
    token = jnp.zeros((1, 1), jnp.int32)
    model = T5Encoder(config)
    params = unbox(jax.eval_shape(model.init, jax.random.key(0), token, token > 0)['params'])
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(params, sep='/').items()}
