"""Stems that fit between -1 and 1, alone and summed, by one gain for all of them.

One gain leaves the balance of the stems as it is: the mix stays their sum, only quieter.
"""

import numpy as np

BELOW_FULL_SCALE = 1 - 1e-6  # room for the rounding of the product


def within_full_scale(stems: np.ndarray) -> np.ndarray:
    """Float32 `[track, sample, 2]` made quieter where a stem or their sum passes full scale.

    What fits already comes back as it is, the same array.
    """
    mix = stems.sum(axis=0)
    peak = max(float(np.abs(part).max(initial=0.0)) for part in (*stems, mix))
    return stems if peak <= 1 else stems * np.float32(BELOW_FULL_SCALE / peak)
