"""Windows of several data sets mixed by weight: example i -> (data set, window), for (seed, i).

Data set d of D has the share w_d, and W_d = w_0 + .. + w_d; W_(D-1) = 1.

(1) of the first n examples   R_d(n) = S_d(n) - S_(d-1)(n) are of d,  S_d(n) = floor(W_d n + 1/2)

so the counts add up to n, and each is within 1 of w_d n. The examples come in blocks of B, and (1)
holds where a block ends. Within block b,

(2) counts                    c_d = R_d((b + 1) B) - R_d(b B)
(3) order                     a permutation of them that is drawn for (seed, b)
(4) position                  example i of d is its p-th, p = R_d(b B) + those of d before i in b

(5) its window                entry p mod N of a permutation of d's N windows that is drawn for
                              (seed, d, epoch p // N): each window of d once in its epoch

So nothing is tied to a slot of the batch, a host or a step, and nothing has to be counted from the
beginning. (Grain's `MapDataset.mix` repeats one pattern, so a data set stays in its slots.)
"""

import fractions
import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_pipeline.cache import is_remote
from data_pipeline.latents import LatentManifest, Latents
from data_pipeline.permutation import permuted
from data_pipeline.streams import stream
from data_pipeline.windows import Window, Windows
from jen1composer.errors import BadInput

BLOCK = 256
_AGREEING = (  # what a model sees of its data
    'tracks',
    'channels',
    'hop_samples',
    'autoencoder_fingerprint',
    'text_fingerprint',
    'max_tokens',
)


class Mixture:
    """An endless sequence of windows of `parts`, in the proportions `weights`."""

    def __init__(self, parts: Sequence[Windows], weights: Sequence[float], seed: int):
        """Raises BadInput where a weight is not positive or the data sets do not fit together."""
        if not all(0 < weight < math.inf for weight in weights):
            raise BadInput(f'config.data.latents: weights {weights}; allowed are numbers above 0')
        for other in parts[1:]:
            check_agreement(parts[0].latents, other.latents)
        self.parts = tuple(parts)
        self._seed = seed
        # Whole numbers, so that the rounding of (1) is the same on every machine.
        shares = [fractions.Fraction(str(weight)) for weight in weights]
        common = math.lcm(*(share.denominator for share in shares))
        self._cumulative = list(itertools.accumulate(int(share * common) for share in shares))

    @classmethod
    def alone(cls, windows: Windows, seed: int = 0) -> 'Mixture':
        """A mixture of one."""
        return cls([windows], [1], seed)

    @property
    def num_frames(self) -> int:
        return self.parts[0].num_frames

    def __getitem__(self, index: int) -> tuple[Windows, Window]:
        """The window of example `index`, and the data set that it is of."""
        part, position = self.place(index)
        windows = self.parts[part]
        epoch, within = divmod(position, len(windows))
        return windows, windows[permuted(within, len(windows), self._seed, part, epoch)]  # (5)

    def place(self, index: int) -> tuple[int, int]:
        """The data set of example `index`, and its place among the examples of that: (3), (4)."""
        if len(self.parts) == 1:
            return 0, index
        block, within = divmod(index, BLOCK)
        before, after = self.counts(block * BLOCK), self.counts((block + 1) * BLOCK)
        parts = np.repeat(np.arange(len(self.parts)), after - before)  # (2)
        order = parts[stream(self._seed, block, 'mixture').permutation(BLOCK)]
        part = int(order[within])
        return part, int(before[part] + np.count_nonzero(order[:within] == part))

    def counts(self, num_examples: int) -> np.ndarray:
        """R_d of the first `num_examples` examples, a whole number of blocks, `[data set]`."""
        whole = self._cumulative[-1]
        upto = [(2 * c * num_examples + whole) // (2 * whole) for c in self._cumulative]  # (1)
        return np.diff(upto, prepend=0)


def check_agreement(one: Latents, other: Latents) -> None:
    """Raises BadInput, naming both folders and what differs, where they cannot be mixed."""

    def of(manifest: LatentManifest, name: str) -> Any:
        return getattr(manifest, name)

    differing = [n for n in _AGREEING if of(one.manifest, n) != of(other.manifest, n)]
    if differing:
        values = [of(latents.manifest, differing[0]) for latents in (one, other)]
        what = f'{differing[0]} is {values[0]} in the first, {values[1]} in the second'
    elif not np.array_equal(one.text.prefix, other.text.prefix):
        what = 'their task prefixes are encoded differently'
    else:
        return
    raise BadInput(f'config.data.latents: {one.folder} and {other.folder} cannot be mixed: {what}')


def read_sources(value: str) -> list[tuple[str, float]]:
    """The folders and weights in 'a', 'a,b' or 'a:3,gs://bucket/b:1'; a weight is 1 if not given.

    Raises BadInput where there is none, or one comes twice, by whatever names.
    """
    sources = []
    for part in (part.strip() for part in str(value).split(',')):
        folder, _, weight = part.rpartition(':')
        try:
            sources.append((folder, float(weight)) if folder else (part, 1.0))
        except ValueError:  # The colon is part of the folder, as in gs://bucket.
            sources.append((part, 1.0))
    folders = [folder for folder, _ in sources]
    places = {f.rstrip('/') if is_remote(f) else os.path.realpath(f) for f in folders}
    if not all(folders) or len(places) < len(folders):
        raise BadInput(
            f'config.data.latents: {value!r}; allowed is a folder, or several with their weights '
            'such as a:3,b:1, each once'
        )
    return sources
