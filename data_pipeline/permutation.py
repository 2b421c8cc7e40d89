"""A seeded permutation of 0 .. n - 1, one entry at a time: nothing is held, whatever n is.

With b the least number of bits such that 4^b >= n, the halves (l, r) of b bits of a number are
exchanged R times (a Feistel network),

(1) (l, r) -> (r, l xor F_k(r)),   k = 1 .. R,

which can be undone whatever F is, so it permutes 0 .. 4^b - 1; F_k mixes r with a key that is drawn
from the seeds and k. A result of n or more is put in again until it is below,

(2) which walks along its cycle: that permutes 0 .. n - 1, in fewer than 4 rounds on average.
"""

ROUNDS = 6
_MASK = 2**64 - 1


def permuted(index: int, size: int, *seeds: int) -> int:
    """Where `index` of 0 .. `size` - 1 lies in the permutation of `seeds`, whole numbers >= 0."""
    if not 0 <= index < size:
        raise IndexError(index)
    bits = max(1, ((size - 1).bit_length() + 1) // 2)
    half = (1 << bits) - 1
    keys, key = [], 0
    for seed in (*seeds, *range(ROUNDS)):
        key = _mix(key ^ seed)
        keys.append(key)
    while True:
        left, right = index >> bits, index & half
        for key in keys[-ROUNDS:]:
            left, right = right, left ^ (_mix(key ^ right) & half)  # (1)
        index = left << bits | right
        if index < size:  # (2)
            return index


def _mix(x: int) -> int:
    """A bijection of 64 bits that spreads every bit over all of them (SplitMix64)."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & _MASK
    return x ^ x >> 31
