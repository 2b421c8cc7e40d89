"""In what order and on which sides a listener hears the pairs: a function of (seed, listener).

(1) The pairs come in a permutation of their own for each listener.
(2) Each has B first, rather than A, by a toss for (seed, listener, place).
(3) Some pairs of the first half come once more in the second half, shuffled in, with their sides
    swapped: who tells them apart prefers the same system twice.

So neither an order nor a side says anything of a system, and half a test is balanced as well.
"""

import dataclasses
import hashlib

import numpy as np

REPEAT_EVERY = 5  # pairs, one is heard twice


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What is heard at one place: a pair, and whether B comes first."""

    pair: int
    b_first: bool
    repeat: bool = False

    def side(self, place: str) -> str:
        """'a' or 'b': what is heard at 'first' or 'second'."""
        return 'b' if (place == 'first') == self.b_first else 'a'


def num_repeats(num_pairs: int) -> int:
    """How many pairs are heard twice: one of five, and one at least, where there are two pairs."""
    return 0 if num_pairs < 2 else max(1, num_pairs // REPEAT_EVERY)


def trials_of(listener: str, num_pairs: int, seed: int) -> list[Trial]:
    """All that a listener hears, in their order; equations (1) to (3)."""
    number = int.from_bytes(hashlib.sha256(listener.encode()).digest()[:8], 'big')
    order = np.random.default_rng((seed, number, 0)).permutation(num_pairs)
    once = [
        Trial(pair=int(pair), b_first=bool(np.random.default_rng((seed, number, 1, k)).integers(2)))
        for k, pair in enumerate(order)
    ]
    half = (num_pairs + 1) // 2
    again = [
        dataclasses.replace(trial, b_first=not trial.b_first, repeat=True)
        for trial in once[: num_repeats(num_pairs)]
    ]
    later = once[half:] + again
    shuffled = np.random.default_rng((seed, number, 2)).permutation(len(later))
    return once[:half] + [later[k] for k in shuffled]
