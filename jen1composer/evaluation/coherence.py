"""Whether stems belong together: bass with drums in rhythm, pitched stems with each other in pitch.

Rhythm, of bass and drums, with o the onset strength of `onsets`:

(1) r(l) = the Pearson correlation of o_bass[n] and o_drums[n + l] over the frames both have
(2) onset_correlation = r(0);   onset_correlation_near = max r(l) over |l| <= 10 ms

Pitch, of two pitched stems:

(3) c[n, p] = the power at pitch class p in frame n: a spectrum of .34 s every .085 s, its octaves
    folded, those around 880 Hz weighing most, where a bass has its harmonics (librosa)
(4) N = the frames in which both are within 20 dB of their own loudest
(5) chroma_cosine = mean over N of <a, b> / |a||b|
(6) chroma_correlation = the same of a and b less their means over p

Figures on Freedoom, 68 windows of 5.12 s of its 12 test songs, stems of one song against stems of
four (`python -m tests.jen1composer.evaluation.told_apart DATA`; size, blur, reach and chroma were
chosen on the validation songs, the last column):

                                        one song   four songs   AUC    AUC, validation
    onset_correlation                     .508        .000      .997        .989
    onset_correlation_near                .565        .028      .994        .981
    chroma_cosine                         .704        .515      .893        .829
    chroma_correlation                    .409        .004      .946        .910
    chroma_cosine_bass_melody             .518        .376      .791        .694
    chroma_correlation_bass_melody        .240       -.018      .865        .770
    chroma_cosine_instrument_melody       .487        .396      .725        .849
    chroma_correlation_instrument_melody  .207        .037      .770        .879

Tried on the validation songs for (6) of bass and instrument: a constant-Q chroma .851, the chroma
of a whole window rather than of its frames .870. All measures of a window of four stems, with those
of `rhythm`, take .5 s of one core.

By chance (2) and (6) are 0. (5) is not: power is positive, and strangers have half. None where a
stem is missing or silent, nothing varies, or N is empty. None of them heeds loudness, and (5) and
(6) no octave.
"""

import itertools
from collections.abc import Mapping

import librosa
import numpy as np

from jen1composer.evaluation.onsets import onset_strength, sounds
from jen1composer.evaluation.windows import mono
from jen1composer.tracks import SAMPLE_RATE

RHYTHM = ('bass', 'drums')
PITCHED = ('bass', 'instrument', 'melody')
NEAR_FRAMES = 1
CHROMA_SIZE, CHROMA_HOP = 16_384, 4096
PLAYING = 0.01  # of the power of the loudest frame


def coherence(stems: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """Equations (2), (5) and (6); (5) and (6) are named after their two stems.

    Args:
        stems: float32 `[sample, 2]` at 48 kHz by track, of one length; others than bass, drums,
            instrument and melody are not heard.

    Returns:
        `onset_correlation`, `onset_correlation_near`; for bass and instrument `chroma_cosine` and
        `chroma_correlation`, for the other two pairs the same with `_bass_melody` and
        `_instrument_melody`.
    """
    there = {name: audio for name, audio in stems.items() if sounds(audio)}
    return coherence_of(
        {name: onset_strength(there[name]) for name in RHYTHM if name in there},
        {name: chroma(there[name]) for name in PITCHED if name in there},
    )


def coherence_of(
    onsets: Mapping[str, np.ndarray], chromas: Mapping[str, np.ndarray]
) -> dict[str, float | None]:
    """What `coherence` returns, of stems that were heard before; one that is silent is left out.

    Args:
        onsets: `onset_strength` `[frame]` by track.
        chromas: equation (3), `[frame, pitch class]` by track.
    """
    found: dict[str, float | None] = {'onset_correlation': None, 'onset_correlation_near': None}
    if all(name in onsets for name in RHYTHM):
        bass, drums = (onsets[name] for name in RHYTHM)
        found['onset_correlation'] = correlation(bass, drums)
        found['onset_correlation_near'] = correlation(bass, drums, NEAR_FRAMES)
    for first, second in itertools.combinations(PITCHED, 2):
        name = '' if (first, second) == ('bass', 'instrument') else f'_{first}_{second}'
        both = first in chromas and second in chromas
        cosine, correlated = (
            chroma_agreement(chromas[first], chromas[second]) if both else (None, None)
        )
        found |= {f'chroma_cosine{name}': cosine, f'chroma_correlation{name}': correlated}
    return found


def correlation(a: np.ndarray, b: np.ndarray, near: int = 0) -> float | None:
    """Equation (2) of two `[frame]`: the largest r(l) over |l| <= near; None where one is even."""
    length = min(len(a), len(b))
    found = []
    for lag in range(-near, near + 1):
        x = a[max(0, -lag) : length - max(0, lag)]
        y = b[max(0, lag) : length - max(0, -lag)]
        x, y = x - x.mean(), y - y.mean()
        scale = np.linalg.norm(x) * np.linalg.norm(y)
        if scale > 0:
            found.append(float(x @ y / scale))
    return max(found, default=None)


def chroma(audio: np.ndarray) -> np.ndarray:
    """Equation (3): `[sample, 2]` at 48 kHz -> `[frame, pitch class]`, C first."""
    signal = mono(audio)
    signal = np.pad(signal, (0, max(0, CHROMA_SIZE - len(signal))))
    return librosa.feature.chroma_stft(
        y=signal, sr=SAMPLE_RATE, n_fft=CHROMA_SIZE, hop_length=CHROMA_HOP, norm=None, tuning=0.0
    ).T


def chroma_agreement(a: np.ndarray, b: np.ndarray) -> tuple[float | None, float | None]:
    """Equations (5) and (6) of two `[frame, pitch class]` of one length."""
    power = np.stack([a.sum(axis=1), b.sum(axis=1)])  # [stem, frame]
    playing = (power > PLAYING * power.max(axis=1, keepdims=True)).all(axis=0)
    if not playing.any():
        return None, None
    a, b = a[playing], b[playing]
    a_varying, b_varying = (x - x.mean(axis=1, keepdims=True) for x in (a, b))
    return float(cosines(a, b).mean()), float(cosines(a_varying, b_varying).mean())


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the rows of two `[row, width]`; 0 where one has no length."""
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros_like(scale), where=scale > 0)
