"""Steadiness of each track's beat, and how well the tracks' beats fall together: IRS, CBS and CBD.

After SyncTrack (arXiv 2603.01101) and its published evaluation code. Track k has beats at the times
b_k1 < b_k2 < ...

(1) IRS, inner-track rhythmic stability: the standard deviation in seconds of b_k(n+1) - b_kn, mean
    over the tracks. 0 is perfectly steady.
(2) CBS, cross-track beat synchronization: cut time into windows of 70 ms. A window's share is how
    many of the tracks that have beats have one in it; mean over the windows with any beat. 1 is
    together; K tracks that never meet have 1/K.
(3) CBD, cross-track beat dispersion: each beat of track j is paired with the nearest of track k if
    that lies less than half an interval of j away, and is off by their distance over that half
    interval; mean over all k and n, then over j. 0 is together; two tracks of one tempo at any
    phase have .5 in the mean.

Where the source leaves a choice, or another was made:

[ours] Beats are found by librosa's dynamic programming on the onset strength of `onsets`, tempo by
    tempo each track on its own, where SyncTrack has madmom's recurrent network. So figures here are
    not comparable with its tables, only with each other.
[ours] A track of fewer than three beats has no IRS, and (2) and (3) want two tracks or more with
    beats, three each for (3).
[ours] 70 ms is the default of the function; the published script's own flag has 150.

Figures on Freedoom, 68 windows of 5.12 s of its 12 test songs, stems of one song against stems of
four (`python -m tests.jen1composer.evaluation.told_apart DATA`; in brackets the AUC on its
validation songs): CBS .442 against .329, AUC .929 (.891); CBD .336 against .419, AUC .708 (.615);
IRS .029 s against .029 s, AUC .491 (.472), as it must be, since it looks at each track alone. So
CBS tells bands from strangers, CBD hardly does on so short a window with these beats, and the
onset correlation of `coherence` does it best.

The windows of (2) are fixed, not sliding: two beats 1 ms apart may fall on both sides of an edge,
so even nearly perfect tracks have less than 1.
"""

from collections.abc import Mapping, Sequence

import librosa
import numpy as np

from jen1composer.evaluation.onsets import FIRST_S, FRAME_RATE, HOP, onset_strength, sounds
from jen1composer.tracks import SAMPLE_RATE

WINDOW_S = 0.07
FEWEST_BEATS = 3


def rhythm(stems: Mapping[str, np.ndarray]) -> dict[str, float | None]:
    """`irs`, `cbs` and `cbd` of float32 `[sample, 2]` at 48 kHz by track; silent ones are left out.

    Each is None where too few tracks have beats.
    """
    beats = [find_beats(audio) for audio in stems.values() if sounds(audio)]
    return {
        'irs': inner_track_stability(beats),
        'cbs': beat_synchronization(beats),
        'cbd': beat_dispersion(beats),
    }


def find_beats(audio: np.ndarray) -> np.ndarray:
    """When the beats of one track `[sample, 2]` fall, in seconds, rising; empty without a pulse."""
    _, frames = librosa.beat.beat_track(
        onset_envelope=onset_strength(audio), sr=SAMPLE_RATE, hop_length=HOP, trim=False
    )
    return FIRST_S + np.asarray(frames) / FRAME_RATE


def inner_track_stability(beats: Sequence[np.ndarray]) -> float | None:
    """Equation (1) of the beats of each track in seconds."""
    spread = [float(np.diff(track).std()) for track in beats if len(track) >= FEWEST_BEATS]
    return float(np.mean(spread)) if spread else None


def beat_synchronization(beats: Sequence[np.ndarray], window_s: float = WINDOW_S) -> float | None:
    """Equation (2) of the beats of each track in seconds."""
    windows = [np.unique(np.floor(track / window_s)) for track in beats if len(track)]
    if len(windows) < 2:
        return None
    _, together = np.unique(np.concatenate(windows), return_counts=True)
    return float(together.mean() / len(windows))


def beat_dispersion(beats: Sequence[np.ndarray]) -> float | None:
    """Equation (3) of the beats of each track in seconds."""
    tracks = [track for track in beats if len(track) >= FEWEST_BEATS]
    per_track = []
    for j, reference in enumerate(tracks):
        errors = [relative_errors(reference, other) for k, other in enumerate(tracks) if k != j]
        pooled = np.concatenate(errors) if errors else np.zeros(0)
        if len(pooled):
            per_track.append(float(pooled.mean()))
    return float(np.mean(per_track)) if per_track else None


def relative_errors(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The terms of (3): how far off each beat that is paired is, in [0, 1)."""
    nearest = other[np.abs(other[None, :] - reference[:, None]).argmin(axis=1)]
    intervals = np.diff(reference)
    before, after = np.append(intervals[0], intervals), np.append(intervals, intervals[-1])
    away = nearest - reference
    errors = np.abs(away) / (np.where(away >= 0, after, before) / 2)
    return errors[errors < 1]
