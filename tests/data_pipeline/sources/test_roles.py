"""Roles: each rule on the smallest music that it decides."""

from data_pipeline.sources.midi import Note
from data_pipeline.sources.roles import assign_roles, doubles, instruments, monophony, role_coverage
from tests.data_pipeline.conftest import band, line

CHORDS, LEAD, BASS, DRUMS = (1, 48), (2, 81), (0, 33), (9, -1)


def test_a_band():
    wanted = {BASS: 'bass', DRUMS: 'drums', CHORDS: 'instrument', LEAD: 'melody'}
    assert assign_roles(band(), 4.0) == wanted


def test_without_a_bass_program_the_lowest_line_is_the_bass():
    notes = band()
    notes[3, 38 + 50] = notes.pop(BASS)
    assert assign_roles(notes, 4.0)[3, 88] == 'bass'


def test_low_chords_are_no_bass():
    notes = band()
    del notes[BASS]
    notes[3, 0] = [n for pitch in (36, 40, 43) for n in line([pitch] * 8, step_s=0.5)]
    assert 'bass' not in assign_roles(notes, 4.0).values()


def test_a_part_that_doubles_the_melody_joins_it():
    notes = band()
    notes[4, 60] = [Note(n.start_s, n.end_s, n.pitch - 12, 80) for n in notes[LEAD]]
    roles = assign_roles(notes, 4.0)
    assert roles[4, 60] == roles[LEAD] == 'melody'
    assert not doubles(notes[BASS], notes[LEAD])


def test_lone_chords_are_accompaniment():
    assert assign_roles({CHORDS: band()[CHORDS] * 2}, 4.0) == {CHORDS: 'instrument'}


def test_sound_effects_never_lead():
    notes = {CHORDS: band()[CHORDS], (5, 122): band()[LEAD]}
    assert assign_roles(notes, 4.0)[5, 122] == 'instrument'


def test_monophony_is_the_fraction_without_overlap():
    assert monophony(line([60] * 9)) == 1.0
    assert monophony(band()[CHORDS]) < 0.5


def test_instruments_and_coverage_follow_the_roles():
    notes = band()
    roles = assign_roles(notes, 4.0)
    assert instruments(notes, roles) == {
        'bass': ['fingered bass'],
        'drums': ['drums'],
        'instrument': ['strings'],
        'melody': ['sawtooth lead'],
    }
    assert set(role_coverage(notes, roles, 4.0).values()) <= {0.8, 1.0}
