"""Whether music does what it was asked: tempo, key and chords, heard by analysers of their own.

None of them made a training label: those were written in scores or, of songs without one, heard by
`data_pipeline`. There keys are heard in the same way as in (2), and chords by the cosine of (3), so
of a composer that was trained on such songs (1) and (4) are the independent witnesses:

(1) tempo: `librosa.feature.tempo` of the mix. It follows b bpm if it is within TOLERANCE of b, 2 b
    or b / 2: up to the octave, in which tempo is a matter of taste.
(2) key: `librosa.feature.chroma_cqt` of all but drums, each frame divided by its largest pitch
    class, their mean compared with the Krumhansl-Kessler profiles. It is the asked one; or related:
    its relative, its parallel, or a fifth away; or another.
(3) chords: for the span of each asked chord the mean chroma c of (2), and for every triad the
    cosine of c with ones at its three notes. A span follows if no triad fits better than the asked
    one; the share counts seconds.
(4) notes: of all seconds that notes sound (`basic_pitch`, where it is there), the share of those
    that belong to the triad that is asked for at that time.

A figure means nothing by itself: a loop in A minor is in A minor whatever was asked. So each is
compared with the same seeds that were told nothing, judged as if they had been told the same.
"""

from collections.abc import Sequence

import numpy as np

from jen1composer.evaluation.windows import mono
from jen1composer.harmony import (
    NO_CHORD,
    ChordChange,
    chord_number,
    chords_at,
    key_fits,
    key_number,
    triad,
)
from jen1composer.tracks import SAMPLE_RATE

RATE = 22_050
HOP = 512
TOLERANCE = 0.04
OCTAVES = (0.5, 1.0, 2.0)
SILENT = 1e-4  # of full scale, root mean square: nothing is heard


def at_rate(audio: np.ndarray) -> np.ndarray:
    """Float32 `[sample, 2]` at 48 kHz as `[sample]` at RATE, which is what is listened to here."""
    import soxr

    return np.asarray(soxr.resample(mono(audio), SAMPLE_RATE, RATE, quality='HQ'))


def heard_tempo(sound: np.ndarray) -> float | None:
    """Beats a minute of sound `at_rate`, (1); None of silence."""
    import librosa

    if is_silent(sound):
        return None
    return float(librosa.feature.tempo(y=sound, sr=RATE, hop_length=HOP)[0])


def follows_tempo(heard: float | None, bpm: float) -> bool:
    """Whether a tempo is the one that was asked for, up to the octave."""
    return heard is not None and any(
        abs(heard / (bpm * octave) - 1) <= TOLERANCE for octave in OCTAVES
    )


def chroma(sound: np.ndarray) -> np.ndarray:
    """How much each pitch class sounds in sound `at_rate`, `[frame, 12]`, HOP samples apart.

    The largest of each frame is 1; frames of silence are 0.
    """
    import librosa

    if is_silent(sound):
        return np.zeros((1 + len(sound) // HOP, 12))
    found: np.ndarray = librosa.feature.chroma_cqt(y=sound, sr=RATE, hop_length=HOP, tuning=0.0)
    return found.T


def heard_key(classes: np.ndarray) -> int | None:
    """The number of the key of `chroma`, (2); None of silence."""
    mean = classes.mean(axis=0)
    return int(np.argmax(key_fits(mean))) if np.ptp(mean) > 0 else None


def key_relation(heard: int | None, asked: str) -> str:
    """'same', 'related' or 'other'."""
    wanted = key_number('key', asked)
    if heard is None or heard == wanted:
        return 'other' if heard is None else 'same'
    tonic, minor = wanted % 12, wanted >= 12
    near = [(tonic + step) % 12 + 12 * minor for step in (5, 7)]
    near.append((wanted + 12) % 24)  # its parallel
    near.append((tonic + 3) % 12 if minor else (tonic + 9) % 12 + 12)  # its relative
    return 'related' if heard in near else 'other'


def chord_share(classes: np.ndarray, changes: Sequence[ChordChange]) -> float:
    """The share of time in which no triad fits better than the asked one, (3)."""
    frame_s = HOP / RATE
    edges = [begin for begin, _ in changes] + [len(classes) * frame_s]
    followed = asked = 0.0
    for (begin, symbol), end in zip(changes, edges[1:], strict=True):
        chord = chord_number('chords', symbol)
        span = classes[round(begin / frame_s) : round(end / frame_s)]
        if chord == NO_CHORD or not len(span):
            continue
        fits = triad_fits(span.mean(axis=0))
        asked += end - begin
        followed += (end - begin) * bool(fits[chord] > 0 and fits[chord] >= fits.max())
    return followed / asked if asked else 0.0


def triad_fits(pitch_classes: np.ndarray) -> np.ndarray:
    """The cosine of `[12]` with each triad, `[24]`; 0 for silence."""
    length = float(np.linalg.norm(pitch_classes)) or 1.0
    sums = [pitch_classes[list(triad(chord))].sum() for chord in range(NO_CHORD)]
    return np.array(sums) / np.sqrt(3) / length


def note_share(notes: np.ndarray, frame_s: float, changes: Sequence[ChordChange]) -> float | None:
    """The share of the time of notes that is in the asked triads, (4); None without a note.

    Args:
        notes: bool [frame, 128], which MIDI pitches sound.
        frame_s: from one frame to the next.
        changes: the chords that were asked for.
    """
    chords = chords_at(changes, (np.arange(len(notes)) + 0.5) * frame_s)
    member = np.zeros((NO_CHORD + 2, 128), bool)
    for chord in range(NO_CHORD):
        member[chord] = np.isin(np.arange(128) % 12, triad(chord))
    told = chords < NO_CHORD
    sounding = notes[told].sum()
    return float((notes & member[chords])[told].sum() / sounding) if sounding else None


def is_silent(sound: np.ndarray) -> bool:
    return not len(sound) or float(np.sqrt(np.mean(np.square(sound)))) < SILENT
