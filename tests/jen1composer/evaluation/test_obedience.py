"""Obedience: what is played as it was asked is heard so, and what is not, not."""

import numpy as np
import pytest

from jen1composer.evaluation.obedience import (
    HOP,
    RATE,
    at_rate,
    chord_share,
    chroma,
    follows_tempo,
    heard_key,
    heard_tempo,
    key_relation,
    note_share,
)
from jen1composer.harmony import CHORDS, KEYS, key_number, triad

BAR_S = 2.0
PROGRESSION = ('Am', 'F', 'C', 'G')
CHANGES = tuple((bar * BAR_S, chord) for bar, chord in enumerate(PROGRESSION))


def played(progression=PROGRESSION) -> np.ndarray:
    """Each triad for a bar, at RATE; tones with three partials."""
    time_s = np.arange(round(BAR_S * RATE)) / RATE
    bars = []
    for symbol in progression:
        pitches = [48 + tone for tone in triad(CHORDS.index(symbol))]
        hertz = [440 * 2 ** ((pitch - 69) / 12) for pitch in pitches]
        bars.append(
            sum(0.1 / k * np.sin(2 * np.pi * k * f * time_s) for f in hertz for k in (1, 2, 3))
        )
    return np.concatenate(bars).astype(np.float32)


def clicks(bpm: float, seconds: float = 10.0) -> np.ndarray:
    sound = np.zeros((round(seconds * 48_000), 2), np.float32)
    burst = np.random.default_rng(0).uniform(-0.5, 0.5, (1500, 2))
    for beat in range(int(seconds * bpm / 60)):
        at = round(beat * 60 / bpm * 48_000)
        sound[at : at + 1500] = burst[: len(sound) - at]
    return sound


@pytest.mark.parametrize('bpm', [80.0, 100.0, 140.0])
def test_a_pulse_is_heard_and_another_is_told_apart(bpm):
    heard = heard_tempo(at_rate(clicks(bpm)))
    assert follows_tempo(heard, bpm)
    assert follows_tempo(heard, 2 * bpm)
    assert not follows_tempo(heard, 1.2 * bpm)
    assert heard_tempo(np.zeros(RATE, np.float32)) is None
    assert not follows_tempo(None, bpm)


def test_a_progression_is_heard_in_its_key_and_bar_by_bar():
    classes = chroma(played())
    assert key_relation(heard_key(classes), 'A minor') in ('same', 'related')
    assert KEYS[heard_key(classes)] in ('A minor', 'C major')
    assert chord_share(classes, CHANGES) == 1
    late = tuple((begin, chord) for (begin, _), chord in zip(CHANGES, 'FCGF', strict=True))
    assert chord_share(classes, late) == 0
    half = (*CHANGES[:2], (2 * BAR_S, 'E'), (3 * BAR_S, 'B'))
    assert chord_share(classes, half) == pytest.approx(0.5, abs=0.01)
    assert chord_share(classes, ((0.0, 'N'), *CHANGES[2:])) == 1
    assert chord_share(np.zeros_like(classes), CHANGES) == 0
    assert heard_key(np.zeros_like(classes)) is None
    assert len(chroma(np.zeros(10 * HOP, np.float32))) == 11


@pytest.mark.parametrize(
    ('heard', 'relation'),
    [
        ('A minor', 'same'),
        ('C major', 'related'),
        ('A major', 'related'),
        ('E minor', 'related'),
        ('D minor', 'related'),
        ('E major', 'other'),
        ('F# major', 'other'),
        ('B minor', 'other'),
    ],
)
def test_keys_are_related_as_the_circle_of_fifths_has_them(heard, relation):
    assert key_relation(key_number('', heard), 'A minor') == relation
    assert key_relation(None, 'A minor') == 'other'


def test_relations_are_mutual():
    for a in range(24):
        for b in range(24):
            assert key_relation(a, KEYS[b]) == key_relation(b, KEYS[a])


def test_notes_count_by_their_time_in_the_triad_of_their_moment():
    notes = np.zeros((80, 128), bool)  # frames of 0.1 s
    notes[:20, 69] = True  # A in Am
    notes[20:40, 61] = True  # C# in F
    notes[40:50, [60, 64]] = True  # C and E in C, for half a bar
    assert note_share(notes, 0.1, CHANGES) == pytest.approx((20 + 0 + 20) / 60)
    assert note_share(notes, 0.1, ((0.0, 'N'),)) is None
    assert note_share(np.zeros((8, 128), bool), 0.1, CHANGES) is None
