"""Sound for the ears of others: one channel, in windows of the length that they were trained on.

Of a sound of N samples and windows of W <= N, the k-th of ceil(N / W) begins at

(1) min(k W, N - W)

so that they follow one another, and the last ends where the sound does: every sample is heard and
nothing is filled up. A sound shorter than a window is for the one who embeds to fill, each in the
way that its network knows.
"""

import numpy as np

from jen1composer.errors import require


def mono(audio: np.ndarray) -> np.ndarray:
    """`[sample, 2]` -> `[sample]` float32, the mean of left and right.

    Raises BadInput for another shape, no samples, or a sample that is not finite.
    """
    ok = audio.ndim == 2 and audio.shape[1] == 2 and len(audio) > 0
    require(ok, 'audio: shape', audio.shape, 'is [sample, 2] with one sample or more')
    sound = np.asarray(audio, np.float32).mean(axis=1)
    broken = int(np.sum(~np.isfinite(sound)))
    require(not broken, 'audio: samples that are not finite', broken, 'are none')
    return sound


def cut(sound: np.ndarray, size: int) -> np.ndarray:
    """Equation (1): `[sample]` of at least `size` -> `[window, size]`."""
    starts = np.minimum(np.arange(0, len(sound), size), len(sound) - size)
    return np.stack([sound[start : start + size] for start in starts])
