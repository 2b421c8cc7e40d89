"""How loud a sound is, how much of it is silent, and how much is cut off.

(1) loudness_lufs: integrated, ITU-R BS.1770-4; None where all is below its gate
(2) peak_db: the largest magnitude; None for silence
(3) silent_share: of blocks of a tenth of a second, those whose root mean square is below -60 dB;
    a last block that is cut short counts as one
(4) clipped_share: of samples, those at or above 1 - 2^-15, the largest of 16 bits, or not finite
"""

import math

import numpy as np

from jen1composer.generation.mixdown import loudness
from jen1composer.generation.soundness import SILENT_DB
from jen1composer.tracks import SAMPLE_RATE

BLOCK_S = 0.1
FULL_SCALE = 1 - 2.0**-15


def levels(audio: np.ndarray) -> dict[str, float | None]:
    """Equations (1) to (4) of float32 `[sample, 2]` at 48 kHz; ValueError where it is empty."""
    if not audio.size:
        raise ValueError('no samples to measure')
    peak = float(np.abs(audio).max())
    return {
        'loudness_lufs': loudness(audio),
        'peak_db': 20 * math.log10(peak) if peak > 0 else None,
        'silent_share': silent_share(audio),
        'clipped_share': float((~(np.abs(audio) < FULL_SCALE)).mean()),
    }


def silent_share(audio: np.ndarray) -> float:
    """Equation (3) of `[sample, channel]` at 48 kHz."""
    block = round(BLOCK_S * SAMPLE_RATE)
    begins = range(0, len(audio), block)
    power = [np.square(audio[k : k + block], dtype=np.float64).mean() for k in begins]
    return float((np.array(power) < 10 ** (SILENT_DB / 10)).mean())
