"""Ears for the Fréchet distance: each has a name, under which `load_embedder` finds it.

    musicnn   comes with a package that launch/setup.sh installs: needs no folder
    clap      LAION-CLAP, from a local folder: hears words too
    vggish    from a local folder

What one ear measures is comparable only with what the same ear measured: a figure goes with the
name and the fingerprint.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from etils import epath

from jen1composer.errors import BadInput, require

MUSICNN, CLAP, VGGISH = NAMES = ('musicnn', 'clap', 'vggish')


class Embedder(Protocol):
    """A frozen network that hears a sound in windows."""

    @property
    def name(self) -> str:
        """One of `NAMES`."""
        ...

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the embeddings, in hexadecimal."""
        ...

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """Float32 `[sample, 2]` at 48 kHz -> float32 `[window, width]`, one window or more.

        Raises BadInput for another shape, no samples, or a sample that is not finite.
        """
        ...


@runtime_checkable
class WordEmbedder(Embedder, Protocol):
    """One that hears words too, where the sounds lie that they tell of."""

    def text(self, prompts: Sequence[str]) -> np.ndarray:
        """`[prompt, width]` float32, of unit length, as what `embed` gives then is."""
        ...


def load_embedder(name: str, folder: epath.PathLike | None = None) -> Embedder:
    """The embedder called `name`; its networks are imported only here.

    Args:
      name: one of `NAMES`.
      folder: where its weights are; musicnn's are, of themselves, those of the installed package.

    Raises:
      BadInput: no such name, or its folder or package is missing or holds something else.
    """
    require(name in NAMES, 'embedder', name, f'are {", ".join(NAMES)}')
    if name == MUSICNN:
        from jen1composer.evaluation.musicnn import load_musicnn

        return load_musicnn(folder)
    if folder is None:
        raise BadInput(f'embedder: {name!r} comes with no package; name the folder of its weights')
    if name == CLAP:
        from jen1composer.evaluation.clap import load_clap

        return load_clap(folder)
    from jen1composer.evaluation.vggish import load_vggish

    return load_vggish(folder)
