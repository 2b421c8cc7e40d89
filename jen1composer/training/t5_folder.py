"""The encoder of a T5 from the folder that Hugging Face keeps it in, see `hugging_face`.

The folder may be of a whole T5, whose decoder is not read. Its tokenizer ends every text with </s>.

The fingerprint is a SHA-256 of what decides the states: the encoder's sizes, the tokenizer's file,
and the encoder's weights as float32. So it is the same for a copy in one file, in several, or
without the decoder, and another one as soon as a single weight differs.
"""

import dataclasses
import hashlib
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tokenizers
from etils import epath
from flax import traverse_util
from flax.linen import unbox

from jen1composer.errors import BadInput, require
from jen1composer.models.t5 import T5Config, T5Encoder, config_from_hugging_face, weight_names
from jen1composer.training import hugging_face
from jen1composer.training.hugging_face import CONFIG, TOKENIZER

KIND = 'a Hugging Face folder of a T5'
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
    value = hugging_face.read_json(path, KIND)
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
    tokenizer, text = hugging_face.read_tokenizer(folder, KIND, config.vocab_size)
    ids = tokenizer.encode('').ids
    if ids[-1:] != [end]:
        raise BadInput(f'{path}: makes the tokens {ids} of no words; allowed is to end with {end}')
    return tokenizer, text


def _read_weights(folder: epath.Path, config: T5Config) -> dict[str, np.ndarray]:
    """The encoder's weights in float32, as they lie in the files, by the path of our parameter."""
    found = hugging_face.weight_files(folder)
    names = {
        path: name if name in found else OTHER_NAMES.get(name, name)
        for path, name in weight_names(config).items()
    }
    shapes = {
        path: shape[::-1] if path.endswith('/kernel') else shape
        for path, shape in _shapes(config).items()
    }
    return hugging_face.read_weights(folder, found, names, shapes)


def _shapes(config: T5Config) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of `T5Encoder`, by path."""
    token = jnp.zeros((1, 1), jnp.int32)
    model = T5Encoder(config)
    params = unbox(jax.eval_shape(model.init, jax.random.key(0), token, token > 0)['params'])
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(params, sep='/').items()}
