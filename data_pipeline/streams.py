"""The random streams of the data: one of its own for every (seed, example index, name).

Each is a counter-based generator (Philox) keyed by seed and index, with the name in its counter. So
any example can be asked for alone, in any order, on any host, and a decision that is added under a
new name leaves what the others draw as it was.
"""

from typing import Any

import numpy as np

# A name's place is part of what it draws: append only.
_NAMES = (
    'task',
    'jitter',
    'kind',
    'span',
    'augment',
    'mixing',
    'prompt',
    'version',
    'mixture',
    'silence',
)


class _Key(np.random.bit_generator.ISeedSequence):
    """A key as it is. Philox takes one without this too, but asks the system for entropy first."""

    def __init__(self, seed: int, index: int):
        self._words = np.array([seed, index], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        del n_words, dtype  # two words of 64 bits, which is what Philox wants
        return self._words


def stream(seed: int, index: int, name: str) -> np.random.Generator:
    """The stream `name` of example `index`, from its beginning."""
    counter = np.array([0, 0, 0, _NAMES.index(name)], np.uint64)
    key: Any = _Key(seed, index)  # numpy's stubs know only one class of seeds
    return np.random.Generator(np.random.Philox(key, counter=counter))
