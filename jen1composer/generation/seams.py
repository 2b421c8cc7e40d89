"""What is kept of a track and what is made, joined without a click.

Outside the holes a track is as it was, sample for sample. Inside, over the first and the last
`FADE_SAMPLES` of a hole, what was there passes into what is made at equal power:

(1) y = (cos(a) old + sin(a) new) / sqrt(1 + rho sin(2 a)),   0 < a < pi / 2
(2) rho = max(0, <old, new> / |old| |new|),   over the samples of the fade

Two sounds of power p and correlation rho sum to p (cos(a)^2 + sin(a)^2 + 2 rho cos(a) sin(a)), so
(1) has the power p: unlike music (rho = 0) fades as powers do, and a sound into itself (rho = 1),
to which a weak variation comes near, stays itself. Sounds that cancel are not made louder for it.
A fade is at most half a hole long, and there is none where the track begins or ends.
"""

from collections.abc import Iterator

import numpy as np

from jen1composer.generation.parts import Holes

FADE_SAMPLES = 960  # 20 ms


def fades(holes: Holes, num_samples: int) -> Iterator[tuple[slice, np.ndarray]]:
    """The fades of a track, each with how far it is, 0 to 1, into what is made, [sample, 1]."""
    for start, end in holes:
        length = min(FADE_SAMPLES, (end - start) // 2)
        share = (np.arange(length, dtype=np.float32) + 0.5)[:, None] / max(length, 1)
        if start > 0:
            yield slice(start, start + length), share
        if end < num_samples:
            yield slice(end - length, end), share[::-1]


def splice(old: np.ndarray, new: np.ndarray, holes: Holes) -> np.ndarray:
    """`old` with `new` in its holes, all [sample, 2]."""
    result = old.copy()
    for start, end in holes:
        result[start:end] = new[start:end]
    for fade, share in fades(holes, len(old)):
        angle = 0.5 * np.pi * share
        mixed = np.cos(angle) * old[fade] + np.sin(angle) * new[fade]
        result[fade] = mixed / np.sqrt(1 + _correlation(old[fade], new[fade]) * np.sin(2 * angle))
    return result


def _correlation(old: np.ndarray, new: np.ndarray) -> float:
    """Equation (2); 0 where there is silence."""
    power = float(np.vdot(old, old)) * float(np.vdot(new, new))
    return min(1.0, max(0.0, float(np.vdot(old, new)) / power**0.5)) if power > 0 else 0.0
