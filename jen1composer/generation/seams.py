"""What is kept of a track and what is made, joined without a click.

Outside the holes a track is as it was, sample for sample. Inside, over the first and the last
`FADE_SAMPLES` of a hole, what was there passes into what is made at equal power:

(1) y = cos(a) old + sin(a) new,   0 < a < pi / 2

Both are music of their own there, hence power and not amplitude. A fade is at most half a hole
long, and there is none where the track begins or ends.
"""

import numpy as np

from jen1composer.generation.parts import Holes

FADE_SAMPLES = 960  # 20 ms


def splice(old: np.ndarray, new: np.ndarray, holes: Holes) -> np.ndarray:
    """`old` with `new` in its holes, all [sample, 2]."""
    result = old.copy()
    for start, end in holes:
        result[start:end] = new[start:end]
        length = min(FADE_SAMPLES, (end - start) // 2)
        angle = 0.5 * np.pi * (np.arange(length, dtype=np.float32) + 0.5)[:, None] / length
        if start > 0:
            fade = slice(start, start + length)
            result[fade] = np.cos(angle) * old[fade] + np.sin(angle) * new[fade]
        if end < len(old):
            fade = slice(end - length, end)
            result[fade] = np.sin(angle) * old[fade] + np.cos(angle) * new[fade]
    return result
