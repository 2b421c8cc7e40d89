"""When something begins in a stem: what its rhythm is judged by.

(1) x = the mean of left and right; a stem is silent where the root mean square of x is below -60 dB
(2) S = the mel spectrogram of x in dB, 43 ms every 10 ms, at most 80 dB below its loudest
(3) o[n] = mean over bands of max(0, S[n + 1] - S[n]), the onset strength (librosa)
(4) blurred by a Gaussian of one frame, as two players who mean one beat are 10 ms apart

By (2) the onset strength of a louder copy is the same. Frames lie within the sound: were it padded
with silence, every sound that is cut out of a longer one would begin with an onset, all at once,
and stems of noise would correlate by .45.
"""

import librosa
import numpy as np
import scipy.ndimage

from jen1composer.evaluation.windows import mono
from jen1composer.generation.soundness import SILENT_DB
from jen1composer.tracks import SAMPLE_RATE

SIZE, HOP = 2048, 480
FRAME_RATE = SAMPLE_RATE / HOP
FIRST_S = (SIZE / 2 + HOP) / SAMPLE_RATE
BLUR_FRAMES = 1.0


def sounds(audio: np.ndarray | None) -> bool:
    """Whether a stem `[sample, 2]` is there, of two frames or more, and sounds; equation (1)."""
    if audio is None or len(audio) < SIZE + HOP:
        return False
    power = float(np.square(mono(audio), dtype=np.float64).mean())
    return power > 10 ** (SILENT_DB / 10)


def onset_strength(audio: np.ndarray) -> np.ndarray:
    """Equations (2) to (4): `[sample, 2]` at 48 kHz that sounds -> `[frame]`, 100 a second.

    Frame n tells of the time `FIRST_S + n / FRAME_RATE`.
    """
    mel = librosa.feature.melspectrogram(
        y=mono(audio), sr=SAMPLE_RATE, n_fft=SIZE, hop_length=HOP, center=False
    )
    decibels = librosa.power_to_db(mel, ref=np.max, amin=1e-20, top_db=80.0)
    onsets = librosa.onset.onset_strength(S=decibels, center=False)[1:]  # before n = 0 is nothing
    return scipy.ndimage.gaussian_filter1d(onsets, BLUR_FRAMES)
