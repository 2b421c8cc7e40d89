"""Chords: what is written in a score, and what is heard of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.chords import (
    CHANGE,
    MIN_SPAN_S,
    SPAN_S,
    best_path,
    find_chords,
    heard_chords,
    score_chords,
    span_edges,
)
from data_pipeline.sources.midi import Note
from jen1composer.harmony import CHORDS, NO_CHORD, chords_at, transposed_chord, triad
from jen1composer.tracks import TRACKS

PROGRESSION = ('Am', 'F', 'C', 'G')
BAR_S = 2.0
BEATS = tuple(np.arange(0, 8, 0.5).tolist())
ROLES = {(0, 33): 'bass', (1, 0): 'instrument'}


def played(progression, tones=(0, 1, 2)):
    """Each chord for a bar in the middle, its root an octave below in the bass."""
    bass, middle = [], []
    for bar, symbol in enumerate(progression):
        if symbol == 'N':
            continue
        notes = triad(CHORDS.index(symbol))
        begin, end = bar * BAR_S, (bar + 1) * BAR_S
        bass.append(Note(begin, end, 36 + notes[0], 90))
        middle += [Note(begin, end, 60 + notes[tone], 90) for tone in tones]
    return {(0, 33): bass, (1, 0): middle}


def changes_of(progression):
    return tuple((bar * BAR_S, symbol) for bar, symbol in enumerate(progression))


@given(steps=st.integers(-11, 11))
def test_a_progression_comes_back_as_it_was_played_in_any_key(steps):
    moved = [transposed_chord(symbol, steps) for symbol in PROGRESSION]
    assert score_chords(played(moved), ROLES, BEATS, 8.0) == changes_of(moved)


def test_a_bar_of_silence_is_no_chord():
    progression = ('Am', 'N', 'C', 'N')
    assert score_chords(played(progression), ROLES, BEATS, 8.0) == changes_of(progression)
    assert score_chords({}, {}, BEATS, 8.0) == ((0.0, 'N'),)


def test_fifths_alone_take_their_thirds_from_what_is_around():
    notes = played(('Am', 'A', 'Am', 'Am'))
    major = score_chords({**notes, (1, 0): played(('A', 'N', 'A', 'A'))[1, 0]}, ROLES, BEATS, 8.0)
    minor = score_chords({**notes, (1, 0): played(('Am', 'N', 'Am', 'Am'))[1, 0]}, ROLES, BEATS, 8)
    assert (major, minor) == (((0.0, 'A'),), ((0.0, 'Am'),))


def test_a_passing_note_changes_no_chord_and_drums_have_none():
    notes = played(PROGRESSION)
    passing = Note(0.5, 0.9, 62, 90)
    drums = [Note(beat, beat + 0.4, 61, 120) for beat in BEATS]
    louder = {**notes, (1, 0): [*notes[1, 0], passing], (9, -1): drums}
    assert score_chords(louder, ROLES, BEATS, 8.0) == changes_of(PROGRESSION)


def test_sound_is_heard_as_its_score():
    time_s = np.arange(8 * 48_000) / 48_000
    stems = np.zeros((len(TRACKS), len(time_s), 2), np.float32)
    for (_, program), notes in played(PROGRESSION).items():
        track = stems[TRACKS.index('bass' if program == 33 else 'instrument')]
        for note in notes:
            hertz = 440 * 2 ** ((note.pitch - 69) / 12)
            on = (time_s >= note.start_s) & (time_s < note.end_s)
            for partial in (1, 2, 3):
                wave = np.sin(2 * np.pi * hertz * partial * time_s[on]) / partial
                track[on] += 0.05 * wave[:, None]
    stems[TRACKS.index('drums')] = np.random.default_rng(0).uniform(-0.3, 0.3, stems[0].shape)
    middles = np.arange(0.25, 8, 0.5)
    wanted = chords_at(changes_of(PROGRESSION), middles)
    assert (chords_at(heard_chords(stems, BEATS), middles) == wanted).mean() > 0.9
    assert (chords_at(heard_chords(stems, ()), middles) == wanted).mean() > 0.7
    assert heard_chords(np.zeros_like(stems), BEATS) == ((0.0, 'N'),)
    assert heard_chords(stems[:, :1000], ()) == ()


@given(
    beats=st.lists(st.floats(0, 20), max_size=30).map(sorted),
    duration_s=st.floats(0.5, 20),
)
def test_spans_cover_a_song_once(beats, duration_s):
    edges = span_edges(beats, duration_s)
    assert (edges[0], edges[-1]) == (0, duration_s)
    assert (np.diff(edges) > 0).all()
    assert np.diff(edges).max() <= SPAN_S + 1e-6
    if len(edges) > 2:
        assert np.diff(edges)[:-1].min() >= min(MIN_SPAN_S, SPAN_S / 2) - 1e-6


def brute_force(fits, change):
    """The best total over all paths."""
    totals = fits[0]
    for fit in fits[1:]:
        steps = totals[:, None] - change * ~np.eye(len(fit), dtype=bool)
        totals = steps.max(axis=0) + fit
    return totals.max()


@given(seed=st.integers(0, 1000), spans=st.integers(1, 12))
def test_no_path_fits_better(seed, spans):
    fits = np.random.default_rng(seed).normal(size=(spans, 5))
    path = best_path(fits, CHANGE)
    total = fits[np.arange(spans), path].sum() - CHANGE * (np.diff(path) != 0).sum()
    assert total == pytest.approx(brute_force(fits, CHANGE))


def test_changes_only_are_kept():
    whole = np.tile(np.eye(12)[[0, 4, 7]].sum(axis=0), (6, 1))
    assert find_chords(whole, np.zeros((6, 12)), np.arange(7.0)) == ((0.0, 'C'),)
    assert CHORDS[NO_CHORD] == 'N'
