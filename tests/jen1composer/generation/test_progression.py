"""Progressions: what is written, in seconds; and what windows of a piece are told of it."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation.progression import chord_changes, parse_progression
from jen1composer.generation.request import Request
from jen1composer.generation.rows import make_control
from jen1composer.harmony import CHORDS, UNKNOWN_CHORD, UNKNOWN_KEY, chord_number, chords_at
from tests.jen1composer import tiny_composer

SPEC = tiny_composer.composer().spec
CONTROLLED = dataclasses.replace(SPEC, model=dataclasses.replace(SPEC.model, control=True))


def test_chords_last_a_bar_or_as_many_beats_as_they_say():
    assert parse_progression('x', 'Am F:2, Db:.5 N') == (
        ('Am', 4.0), ('F', 2.0), ('C#', 0.5), ('N', 4.0)
    )  # fmt: skip
    assert parse_progression('x', '  ') == ()


@pytest.mark.parametrize(
    'word', ['H', 'Am:', 'Am:0', 'Am:1e-9', 'Am:-1', 'Am:nan', 'Am:inf', 'Am:x', ':4']
)
def test_what_is_no_chord_or_lasts_no_beats_is_refused_by_name(word):
    with pytest.raises(BadInput, match='--chords: '):
        parse_progression('--chords', f'C {word}')
    with pytest.raises(BadInput, match='257 chords; allowed are 256'):
        parse_progression('--chords', 'C ' * 257)


@given(
    beats=st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0, 7.0]), min_size=1, max_size=5),
    bpm=st.floats(20, 400),
    seconds=st.floats(0.1, 60),
)
def test_a_progression_is_repeated_to_the_end_of_the_piece(beats, bpm, seconds):
    progression = tuple((CHORDS[k], b) for k, b in enumerate(beats))
    changes = chord_changes(progression, bpm, seconds)
    assert changes[0] == (0.0, CHORDS[0])
    assert all(start < seconds for start, _ in changes)
    times = np.linspace(0, seconds, 50, endpoint=False) + 1e-6
    at = times * bpm / 60 % sum(beats)
    expected = np.searchsorted(np.cumsum(beats), at, side='right')
    wrong = chords_at(changes, times) != expected
    edges = np.abs(at[:, None] - np.cumsum([0, *beats])).min(axis=1) < 1e-4
    assert not (wrong & ~edges).any()


def test_windows_are_told_what_sounds_in_them_wherever_they_begin():
    request = Request(bpm=240.0, key='Db minor', chords='Am:0.1 F:0.1', seconds=0.2)
    control = make_control(request, CONTROLLED)
    whole = np.concatenate([control(start).chords for start in (0, 8, 16, 24)])
    beat = (np.arange(32) + 0.5) * SPEC.hop_samples / 48_000 * 240 / 60
    expected = np.where(beat // 0.1 % 2 == 0, chord_number('', 'Am'), chord_number('', 'F'))
    np.testing.assert_array_equal(whole, expected)
    np.testing.assert_array_equal(control(5).chords, whole[5:13])
    assert (control(3).bpm, control(3).key) == (240, 13)
    assert len({int(chord) for chord in whole}) == 2


def test_what_is_not_asked_for_is_unknown_and_no_composer_is_told_what_it_never_learnt():
    control = make_control(Request(), CONTROLLED)(0)
    assert (control.bpm, control.key) == (0, UNKNOWN_KEY)
    assert (control.chords == UNKNOWN_CHORD).all()
    assert make_control(Request(), SPEC)(0) is None
    for asked in ({'bpm': 90.0}, {'key': 'C major'}):
        with pytest.raises(BadInput, match=r'(bpm|key): .* was trained without control'):
            make_control(Request(**asked), SPEC)


def test_music_follows_what_is_asked_and_guidance_pulls_it_further():
    def made(**asked):
        request = Request(seconds=0.012, num_steps=2, **asked)
        return composer.compose(request).takes['bass'].latents

    composer = tiny_composer.composer(control=True)
    free, told = made(), made(bpm=90.0, chords='Am F')
    assert np.abs(told - free).max() > 1e-3
    np.testing.assert_array_equal(made(bpm=90.0, chords='Am F', control_guidance=1.0), told)
    none = made(bpm=90.0, chords='Am F', control_guidance=0.0)
    np.testing.assert_allclose(none, free, atol=1e-4)
    assert np.abs(made(bpm=90.0, chords='Am F', control_guidance=3.0) - told).max() > 1e-3
