"""The random streams of the data: one of its own for every (seed, example index, name).

Each is a counter-based generator (Philox) keyed by seed and index, with the name in its counter. So
any example can be asked for alone, in any order, on any host, and a decision that is added under a
new name leaves what the others draw as it was.
"""

import numpy as np

# A name's place is part of what it draws: append only.
_NAMES = ('task', 'jitter', 'kind', 'span', 'augment', 'mixing', 'prompt', 'version', 'mixture')


def stream(seed: int, index: int, name: str) -> np.random.Generator:
    """The stream `name` of example `index`, from its beginning."""
    key = np.array([seed, index], np.uint64)
    counter = np.array([0, 0, 0, _NAMES.index(name)], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
