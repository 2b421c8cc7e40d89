"""A LAION-CLAP from the folder that Hugging Face keeps it in, of laion/clap-htsat-unfused's form.

    FOLDER/config.json              sizes; a CLAP without fusion
    FOLDER/preprocessor_config.json what it hears, see `clap_mel`
    FOLDER/tokenizer.json           RoBERTa's: every text begins with <s> and ends with </s>
    FOLDER/model.safetensors        the weights, see `training.hugging_face`

The fingerprint is a SHA-256 of what decides the embeddings: the sizes, the front end, the
tokenizer's file, and the weights as float32.
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

from jen1composer.errors import BadInput, require
from jen1composer.evaluation.clap_mel import ClapMel, front_end_from_hugging_face
from jen1composer.models import clap
from jen1composer.training import hugging_face
from jen1composer.training.hugging_face import CONFIG, TOKENIZER, WEIGHTS

KIND = 'a Hugging Face folder of a CLAP, as laion/clap-htsat-unfused'
FRONT_END = 'preprocessor_config.json'
ENDS = (0, 2)  # the tokens <s> and </s>, where config.json does not say


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClapFolder:
    """What a folder holds."""

    config: clap.ClapConfig
    params: Any  # of `ClapAudio` under 'audio' and `ClapText` under 'text', float32
    front_end: ClapMel
    tokenizer: tokenizers.Tokenizer  # truncates nothing and pads nothing
    fingerprint: str  # SHA-256, in hexadecimal


def read_clap(folder: epath.PathLike) -> ClapFolder:
    """Reads `folder`; raises BadInput, naming the file that is missing, damaged or not a CLAP's."""
    folder = epath.Path(folder)
    config, ends = _read_config(folder / CONFIG)
    front_end = _read_front_end(folder / FRONT_END, config)
    tokenizer, text = hugging_face.read_tokenizer(folder, KIND, config.text.vocab_size)
    ids = tuple(tokenizer.encode('').ids)
    require(ids == ends, f'{folder / TOKENIZER}: the tokens of no words', ids, f'are {ends}')
    sizes = [dataclasses.asdict(part) for part in (config, front_end)]
    fingerprint = hashlib.sha256(json.dumps(sizes, sort_keys=True).encode())
    fingerprint.update(text)
    weights = _read_weights(folder, config)
    params = {}
    for path in sorted(weights):
        fingerprint.update(np.ascontiguousarray(weights[path]))
        params[path] = jnp.asarray(clap.from_hugging_face(path, weights[path], config))
    return ClapFolder(
        config=config,
        params=traverse_util.unflatten_dict(params, sep='/'),
        front_end=front_end,
        tokenizer=tokenizer,
        fingerprint=fingerprint.hexdigest(),
    )


def _read_config(path: epath.Path) -> tuple[clap.ClapConfig, tuple[int, int]]:
    """The sizes, and the numbers of the tokens that begin and end a text."""
    value = hugging_face.read_json(path, KIND)
    try:
        config = clap.config_from_hugging_face(value)
    except (BadInput, TypeError, ValueError) as error:
        raise BadInput(f'{path}: {error}') from error
    text = value.get('text_config', {})
    return config, (text.get('bos_token_id', ENDS[0]), text.get('eos_token_id', ENDS[1]))


def _read_front_end(path: epath.Path, config: clap.ClapConfig) -> ClapMel:
    value = hugging_face.read_json(path, KIND)
    try:
        front_end = front_end_from_hugging_face(value)
        bins, frames = config.audio.num_mel_bins, config.audio.frames
        require(
            front_end.feature_size == bins, 'feature_size', front_end.feature_size, f'is {bins}'
        )
        allowed = f'are up to {frames}, which the encoder sees'
        require(front_end.frames <= frames, 'frames of a window', front_end.frames, allowed)
    except (BadInput, TypeError, ValueError) as error:
        raise BadInput(f'{path}: {error}') from error
    return front_end


def _read_weights(folder: epath.Path, config: clap.ClapConfig) -> dict[str, np.ndarray]:
    """The weights in float32, as they lie in the files, by the path of our parameter."""
    path = folder / WEIGHTS
    if not path.exists() and (folder / 'pytorch_model.bin').exists():
        raise BadInput(
            f'{path}: missing, and pytorch_model.bin is not read; where transformers is installed, '
            f"ClapModel.from_pretrained('{folder}').save_pretrained('{folder}') writes it"
        )
    shapes = {
        path: clap.hugging_face_shape(path, shape, config)
        for path, shape in parameter_shapes(config).items()
    }
    found = hugging_face.weight_files(folder)
    return hugging_face.read_weights(folder, found, clap.weight_names(config), shapes)


def parameter_shapes(config: clap.ClapConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters of both encoders, by path."""
    token, key = jnp.zeros((1, 2), jnp.int32), jax.random.key(0)
    sound = jnp.zeros((1, config.audio.frames, config.audio.num_mel_bins))
    params = {
        'audio': jax.eval_shape(clap.ClapAudio(config).init, key, sound)['params'],
        'text': jax.eval_shape(clap.ClapText(config).init, key, token, token > 0)['params'],
    }
    return {path: leaf.shape for path, leaf in traverse_util.flatten_dict(params, sep='/').items()}
