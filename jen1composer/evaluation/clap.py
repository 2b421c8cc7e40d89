"""LAION-CLAP as an ear: where a sound and words about it lie, and how far they are apart.

(1) score = mean over windows w and all texts given for it of audio(w) . text(t)

both of unit length: 1 where the sound is what the words say, about 0 where it has nothing to do
with them. What a score means is known only beside the scores of other sounds under the same
weights: real music of the same words above it, and other words below.

The weights come from a folder of the user's, see `clap_folder`; the networks are `models.clap`.
Source: Wu et al. 2023, arXiv 2211.06687.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
from absl import logging
from etils import epath

from jen1composer.errors import require
from jen1composer.evaluation import clap_mel, windows
from jen1composer.evaluation.clap_folder import ClapFolder, read_clap
from jen1composer.models.clap import ClapAudio, ClapText

_TOKENS = 77  # that LAION-CLAP reads of a text, with the two that mark its start and end
_WINDOWS, _TEXTS = 4, 16  # at a time, always: one program, whatever comes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Clap:
    """An `Embedder` of sound and words; made by `load_clap`."""

    folder: ClapFolder
    name: str = 'clap'

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the embeddings, in hexadecimal."""
        return self.folder.fingerprint

    @property
    def width(self) -> int:
        return self.folder.config.projection_dim

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """The embeddings of a sound's windows.

        Args:
          audio: `[sample, 2]` float32 at 48 kHz. Windows are of 10 s, see `windows`; a shorter
            sound is one window, see `clap_mel`.

        Returns:
          `[window, width]` float32, unit length.

        Raises:
          BadInput: another shape, no samples, or a sample that is not finite.
        """
        sound, front_end = windows.mono(audio), self.folder.front_end
        if len(sound) < front_end.samples:
            sound = clap_mel.fill(sound, front_end.samples)
        cut = windows.cut(sound, front_end.samples)
        model, params = ClapAudio(self.folder.config), self.folder.params['audio']
        embedded = np.zeros((len(cut), self.width), np.float32)
        for start in range(0, len(cut), _WINDOWS):
            spectrograms = np.stack([front_end(window) for window in cut[start : start + _WINDOWS]])
            rows = len(spectrograms)
            padded = np.pad(spectrograms, ((0, _WINDOWS - rows), (0, 0), (0, 0)))
            embedded[start : start + rows] = _apply(model, params, padded)[:rows]
        return embedded

    def text(self, prompts: Sequence[str]) -> np.ndarray:
        """The embeddings of texts, `[prompt, width]` float32, unit length.

        A text of more than 77 tokens is cut, with a warning.
        """
        config = self.folder.config
        model, params = ClapText(config), self.folder.params['text']
        longest = min(_TOKENS, config.text.positions)
        embedded = np.zeros((len(prompts), self.width), np.float32)
        for start in range(0, len(prompts), _TEXTS):
            batch = prompts[start : start + _TEXTS]
            tokens = np.full((_TEXTS, longest), config.text.pad_token_id, np.int32)
            mask = np.zeros((_TEXTS, longest), bool)
            for row, prompt in enumerate(batch):
                ids = self.folder.tokenizer.encode(prompt).ids
                if len(ids) > longest:
                    logging.warning('%d tokens cut to %d: %r', len(ids), longest, prompt[:80])
                    ids = [*ids[: longest - 1], ids[-1]]
                tokens[row, : len(ids)] = ids
                mask[row, : len(ids)] = True
            embedded[start : start + _TEXTS] = _apply(model, params, tokens, mask)[: len(batch)]
        return embedded


def load_clap(folder: epath.PathLike) -> Clap:
    """The CLAP in a Hugging Face folder; raises BadInput as `clap_folder.read_clap` does."""
    return Clap(folder=read_clap(folder))


def clap_score(audio: np.ndarray, text: np.ndarray) -> float:
    """Equation (1).

    Args:
      audio: `[window, width]` of one sound, of `Clap.embed`.
      text: `[text, width]` of what is said of it, of `Clap.text`; all of it of every window.

    Raises:
      BadInput: there is no window, no text, or they are of two widths.
    """
    ok = audio.ndim == text.ndim == 2 and audio.size and text.size
    ok = ok and audio.shape[1] == text.shape[1]
    require(bool(ok), 'clap_score: shapes', (audio.shape, text.shape), 'are [n, width], n from 1')
    return float(np.mean(audio @ text.T))


@functools.partial(jax.jit, static_argnums=0)
def _apply(model: ClapAudio | ClapText, params: Any, *inputs: jax.Array) -> jax.Array:
    with jax.default_matmul_precision('highest'):  # float32 on accelerators too
        return cast(jax.Array, model.apply({'params': params}, *inputs))
