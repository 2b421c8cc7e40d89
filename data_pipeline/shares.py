"""Shares: how often each of several things is asked for, as numbers to any sum.

With shares a_1 .. a_n, of 0 or more and not all 0:

(1) weights  w_k = a_k / (a_1 + .. + a_n)
(2) draw     for u of [0, 1): the first k with u < w_1 + .. + w_k. What rounding leaves between that
             sum and 1 falls to the last k that can happen, so a weight of 0 is never drawn.
"""

import functools
import math
import sys

import numpy as np


def is_number(value: object) -> bool:
    """Whether `value` is a finite number that was written as one (True is none)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return -sys.float_info.max <= value <= sys.float_info.max


def are_shares(values: object, count: int) -> bool:
    """Whether `values` is a tuple of `count` shares."""
    return (
        isinstance(values, tuple)
        and len(values) == count
        and all(is_number(value) and value >= 0 for value in values)
        and any(value > 0 for value in values)
    )


@functools.lru_cache(256)
def weights(shares: tuple[float, ...]) -> np.ndarray:
    """Equation (1), `[share]`, not to be written to."""
    # Scaled by a power of two first, which is exact, so that no sum is too large.
    _, exponent = math.frexp(max(shares))
    scaled = np.ldexp(np.array(shares, float), -exponent)
    result = scaled / math.fsum(scaled)
    result.flags.writeable = False
    return result


def pick(weights: np.ndarray, u: float) -> int:
    """Equation (2), counted from 0; `weights` is `[share]`."""
    chosen, cumulative = 0, 0.0
    for k, weight in enumerate(weights.tolist()):  # a handful: faster than arrays of them
        if weight:
            chosen, cumulative = k, cumulative + weight
            if u < cumulative:
                break
    return chosen
