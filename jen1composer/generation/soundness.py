"""What is wrong with sound, said in words: it is silent, clipped, or not made of numbers.

Of the samples x that were made (or uploaded), of all channels:

(1) "not finite"   some x is no number, or infinite; nothing else is said then
(2) "silent"       10 log10(mean x^2) < SILENT_DB
(3) "clipped"      max |x| > 1: a file of whole numbers could not hold it
"""

import math

import numpy as np

from jen1composer.generation.parts import Holes

SILENT_DB = -60.0
LEAST_DB = -120.0

NOT_FINITE, SILENT, CLIPPED = 'not finite', 'silent', 'clipped'


def rms_db(*parts: np.ndarray) -> float | None:
    """Root mean square of all in dB relative to full scale, at least -120; None if not finite."""
    energy = sum(float(np.einsum('sc,sc->', part, part, dtype=np.float64)) for part in parts)
    power = energy / sum(part.size for part in parts)
    if not math.isfinite(power):
        return None
    return max(LEAST_DB, 10 * math.log10(power)) if power > 0 else LEAST_DB


def peak(*parts: np.ndarray) -> float | None:
    """The largest absolute sample; None where one is not finite."""
    ends = [float(end) for part in parts for end in (part.max(), -part.min())]
    return max(ends) if all(map(math.isfinite, ends)) else None


def warnings_of(audio: np.ndarray, made: Holes) -> tuple[str, ...]:
    """What is wrong with [sample, channel], judged by the stretches that were `made`, if any."""
    parts = [audio[start:end] for start, end in made] or [audio]
    level, largest = rms_db(*parts), peak(*parts)
    if level is None or largest is None:
        return (NOT_FINITE,)
    found = (SILENT, level < SILENT_DB), (CLIPPED, largest > 1)
    return tuple(word for word, is_so in found if is_so)
