"""Keys and chords: written and read, moved, and which one sounds when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.harmony import (
    CHORDS,
    KEYS,
    NO_CHORD,
    NUM_CHORDS,
    NUM_KEYS,
    UNKNOWN_CHORD,
    UNKNOWN_KEY,
    chord_number,
    chords_at,
    key_number,
    known_key,
    transposed_chord,
    transposed_key,
    triad,
)


def test_names_and_numbers_are_one_to_one():
    assert [key_number('key', key) for key in KEYS] == list(range(UNKNOWN_KEY))
    assert [chord_number('chord', chord) for chord in CHORDS] == list(range(UNKNOWN_CHORD))
    assert (NUM_KEYS, NUM_CHORDS) == (UNKNOWN_KEY + 1, UNKNOWN_CHORD + 1)


@pytest.mark.parametrize(
    ('written', 'same'), [('Dbm', 'C#m'), ('G#', 'Ab'), ('Cb', 'B'), ('E#m', 'Fm')]
)
def test_a_black_key_has_two_names(written, same):
    assert chord_number('chord', written) == chord_number('chord', same)


def test_what_is_none_is_refused_by_name():
    for chord in ('', 'H', 'm', 'am', 'Amm', 'C7', 'n'):
        with pytest.raises(BadInput, match=r'--chords: .* allowed are a root'):
            chord_number('--chords', chord)
    for key in ('', 'A', 'A dorian', 'H major', 'a minor'):
        with pytest.raises(BadInput, match=r'--key: .* allowed are a tonic'):
            key_number('--key', key)
        assert known_key(key) == UNKNOWN_KEY
    assert known_key(None) == UNKNOWN_KEY


@given(number=st.integers(0, NO_CHORD - 1), steps=st.integers(-24, 24))
def test_what_is_moved_sounds_moved(number, steps):
    chord = transposed_chord(CHORDS[number], steps)
    moved = sorted((tone + steps) % 12 for tone in triad(number))
    assert sorted(triad(chord_number('chord', chord))) == moved
    key = transposed_key(KEYS[number], steps)
    assert key is not None
    assert transposed_key(key, -steps) == KEYS[number]


def test_no_chord_and_no_key_stay_what_they_are():
    assert transposed_chord('N', 5) == 'N'
    assert transposed_key('atonal', 5) is None


def test_a_chord_lasts_until_the_next():
    times = np.array([0.0, 0.49, 0.5, 1.9, 2.0, 99.0])
    changes = ((0.5, 'Am'), (2.0, 'N'))
    assert chords_at(changes, times).tolist() == [UNKNOWN_CHORD] * 2 + [21, 21, NO_CHORD, NO_CHORD]
    assert (chords_at((), times) == UNKNOWN_CHORD).all()
    assert chords_at(changes, times).dtype == np.int32
