"""A composer as one folder to hand on, which launch.export writes.

    DIR/config.json                  `Description`: all that is not a weight
    DIR/model.safetensors            'unet/<path>', 'autoencoder/<path>', 'whitening/<field>'
    DIR/model.<format>.safetensors   the same packed, see `weight_formats`, beside it or alone
    DIR/text_encoder.safetensors     the text encoder's weights; where embedded
    DIR/tokenizer.json               its tokenizer
    DIR/programs/<name>.stablehlo    the networks, see `serving.programs`
    DIR/compose.py                   makes music with these files alone
    DIR/README.md                    the model card, and what it shows
    DIR/SHA256SUMS                   of every other file; `sha256sum -c SHA256SUMS` checks it too

Nothing is read before all files are found to be what SHA256SUMS says, and nothing in the folder is
code that reading it would run.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import tokenizers
from etils import epath
from flax import traverse_util

from jen1composer.errors import BadInput, require
from jen1composer.generation.weight_formats import FORMATS, Arrays, read_arrays, unpack
from jen1composer.models.minilm import MiniLM
from jen1composer.models.t5 import T5Config, T5Encoder
from jen1composer.training.codec import Codec, autoencoder_config
from jen1composer.training.text import MINILM, TextEncoder, load_text_encoder
from jen1composer.training.workdir import ComposerSpec, spec_from_json

VERSION = 1
CONFIG, SUMS, TOKENIZER = 'config.json', 'SHA256SUMS', 'tokenizer.json'
TEXT_WEIGHTS = 'text_encoder.safetensors'
UNET = 'unet/'


class Exported(NamedTuple):
    """What a composer is made of."""

    spec: ComposerSpec
    params: Any
    step: int
    codec: Codec
    text_encoder: TextEncoder


def weights_file(form: str) -> str:
    return 'model.safetensors' if form == 'float32' else f'model.{form}.safetensors'


def is_export(folder: epath.PathLike) -> bool:
    """Whether `folder` is meant to be an export, whole or not, and no workdir."""
    folder = epath.Path(folder)
    is_workdir = (folder / 'composer.json').exists()
    return not is_workdir and any((folder / name).exists() for name in (SUMS, CONFIG))


def read_export(
    folder: epath.PathLike, text_encoder: epath.PathLike | None = None, weights: str | None = None
) -> Exported:
    """Reads an export, in float32 just the bits that the workdir had.

    Args:
        folder: what launch.export wrote.
        text_encoder: the name of the text encoder, where it is not embedded and its folder moved.
        weights: which of `FORMATS`; by default the first of them that is there.

    Raises:
        BadInput: where a file is missing, changed, cut short or of another version, naming it.
    """
    folder = epath.Path(folder)
    listed = verify(folder)
    there = [form for form in FORMATS if weights_file(form) in listed]
    if CONFIG not in listed:
        raise BadInput(f'{folder / SUMS}: does not list {CONFIG}; allowed is an export')
    config = read_config(folder / CONFIG)
    if not there or weights not in (None, *there):
        raise BadInput(
            f'{folder}: was exported without weights in {weights or FORMATS[0]}; allowed is '
            f'{" or ".join(there or FORMATS)}'
        )
    weights = weights or there[0]
    path = folder / weights_file(weights)
    arrays = unpack(read_arrays(path.read_bytes(), path))
    params = {k.removeprefix(UNET): v for k, v in arrays.items() if k.startswith(UNET)}
    rest = {k: v for k, v in arrays.items() if not k.startswith(UNET)}
    try:
        spec = spec_from_json(config['composer'])
        autoencoder = autoencoder_config(config['autoencoder'])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f'{folder / CONFIG}: not an export ({error})') from error
    codec = Codec.from_arrays(autoencoder, rest, path)
    if weights == 'float32' and codec.fingerprint != spec.autoencoder_fingerprint:
        raise BadInput(f'{path}: not the autoencoder that {CONFIG} names')
    return Exported(
        spec=spec,
        params=traverse_util.unflatten_dict(params, sep='/'),
        step=config['step'],
        codec=codec,
        text_encoder=_text_encoder(folder, config, spec, text_encoder),
    )


def verify(folder: epath.Path) -> list[str]:
    """The names in SHA256SUMS, every file being there as listed; raises BadInput naming the first
    that is not."""
    sums = folder / SUMS
    try:
        lines = [line.split('  ', 1) for line in sums.read_text().splitlines()]
        listed = {name: digest for digest, name in lines}
    except (OSError, ValueError) as error:
        raise BadInput(
            f'{sums}: missing or cut short ({type(error).__name__}); allowed is a whole export'
        ) from error
    for name, digest in listed.items():
        path = folder / name
        if not path.exists():
            raise BadInput(f'{path}: missing; {SUMS} lists it')
        if sha256(path) != digest:
            raise BadInput(f'{path}: changed or cut short; its SHA-256 is not that of {SUMS}')
    return list(listed)


def sha256(path: epath.Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def read_config(path: epath.Path) -> dict[str, Any]:
    """`config.json`; raises BadInput where it is cut, or of a version that is not read here."""
    try:
        config = json.loads(path.read_text())
        version = config['version']
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f'{path}: cut short or not an export ({error})') from error
    require(version == VERSION, f'{path}: version', version, f'is {VERSION}')
    return config


def describe_text_encoder(text: TextEncoder, *, embedded: bool) -> dict[str, Any]:
    """What `config.json` says of it; `kind` and `sizes` rebuild the module."""
    sizes = dataclasses.asdict(text.model.config) if isinstance(text.model, T5Encoder) else {}
    return {
        'name': text.name,
        'sha256': text.fingerprint,
        'embedded': embedded,
        'kind': 't5' if sizes else MINILM,
        'sizes': sizes,
        'max_tokens': text.max_tokens,
        'weights': TEXT_WEIGHTS if embedded else None,
    }


def text_arrays(text: TextEncoder) -> Arrays:
    """A text encoder's weights by path."""
    return dict(traverse_util.flatten_dict(jax.device_get(text.params), sep='/'))


def _text_encoder(
    folder: epath.Path,
    config: Mapping[str, Any],
    spec: ComposerSpec,
    named: epath.PathLike | None,
) -> TextEncoder:
    """The one in the folder, or else the one of that name, if it is the one of the training."""
    said = config['text_encoder']
    if said['embedded'] and named is None:
        path = folder / TEXT_WEIGHTS
        params = traverse_util.unflatten_dict(read_arrays(path.read_bytes(), path), sep='/')
        model = T5Encoder(T5Config(**said['sizes'])) if said['kind'] == 't5' else MiniLM()
        return TextEncoder(
            name=said['name'],
            model=model,
            params=jax.device_put(params),
            tokenizer=tokenizers.Tokenizer.from_buffer((folder / TOKENIZER).read_bytes()),
            max_tokens=spec.max_tokens,
            fingerprint=said['sha256'],
        )
    text = load_text_encoder(named or said['name'], max_tokens=spec.max_tokens)
    if text.fingerprint != said['sha256']:
        raise BadInput(
            f'{folder}: was trained with the text encoder {said["name"]} of fingerprint '
            f'{said["sha256"]}; {text.name} has {text.fingerprint}'
        )
    return text
