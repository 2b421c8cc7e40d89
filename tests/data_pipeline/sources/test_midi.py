"""MIDI: times, parts, tempo and key."""

import io

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.sources.midi import (
    DRUM_KIT,
    Note,
    coverage,
    estimate_key,
    median_bpm,
    notes_by_part,
    read_midi,
)
from jen1composer.errors import BadInput
from tests.data_pipeline.conftest import band, line, make_midi, score_of


def test_notes_come_back_as_written():
    score = score_of(band())
    assert {part: len(notes) for part, notes in score.notes.items()} == {
        (0, 33): 16,
        (1, 48): 12,
        (2, 81): 16,
        (9, DRUM_KIT): 16,
    }
    for found, written in zip(score.notes[2, 81], band()[2, 81], strict=True):
        assert found.pitch == written.pitch
        assert found.start_s == pytest.approx(written.start_s, abs=1e-3)
        assert found.end_s == pytest.approx(written.end_s, abs=1e-3)
    assert score.duration_s == pytest.approx(4.0)


@given(bpm=st.floats(30, 240))
def test_seconds_do_not_depend_on_the_tempo_they_are_written_at(bpm: float):
    score = score_of({(0, 0): line([60, 62, 64])}, bpm=bpm)
    assert score.bpm == pytest.approx(bpm, rel=1e-4)
    assert score.duration_s == pytest.approx(0.75, abs=2 / 480)


def test_times_agree_with_mido():
    data = make_midi(band(), bpm=97)
    file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    time_s, wanted = 0.0, []
    for message in file:
        time_s += message.time
        if not message.is_meta:
            wanted.append((time_s, message.bytes()))
    assert [(t, m.bytes()) for t, m in read_midi(data, 'x').messages] == wanted


def test_tempo_is_the_median_over_time():
    tempos = [(0.0, 500_000), (10.0, 1_000_000), (12.0, 400_000)]
    assert median_bpm(tempos, 13.0) == pytest.approx(120)
    assert median_bpm(tempos, 40.0) == pytest.approx(150)
    assert median_bpm([], 5.0) == pytest.approx(120)


def test_program_changes_split_a_channel_but_not_the_drums():
    messages = []
    for k, program in enumerate((0, 5)):
        for channel in (3, 9):
            on = mido.Message('note_on', channel=channel, note=60, velocity=90)
            off = mido.Message('note_on', channel=channel, note=60, velocity=0)
            change = mido.Message('program_change', channel=channel, program=program)
            messages += [(float(k), change), (float(k), on), (k + 0.5, off)]
    assert list(notes_by_part(messages)) == [(3, 0), (3, 5), (9, DRUM_KIT)]


def test_a_note_struck_again_or_never_released_still_ends():
    on = mido.Message('note_on', note=60, velocity=90)
    end = mido.Message('control_change', control=1)
    notes = notes_by_part([(0.0, on), (1.0, on), (3.0, end)])[0, 0]
    assert [(n.start_s, n.end_s) for n in notes] == [(0.0, 1.0), (1.0, 3.0)]


@pytest.mark.parametrize('shift', [0, 3, 7, 11])
def test_the_key_moves_with_the_notes(shift: int):
    tonics = ('C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B')
    major = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60, 60]
    notes = line([p + shift for p in major])
    drums = line([37] * 100)
    assert estimate_key({(0, 0): notes, (9, DRUM_KIT): drums}) == f'{tonics[shift]} major'
    assert estimate_key({(9, DRUM_KIT): drums}) is None


def test_coverage_counts_seconds():
    assert coverage([Note(0.0, 0.5, 60, 90), Note(2.2, 2.9, 60, 90)], 3.5) == 0.5


@pytest.mark.parametrize('data', [b'', b'MThd', b'RIFF' * 40, make_midi({})])
def test_other_files_are_refused_in_one_line(data: bytes):
    with pytest.raises(BadInput, match=r'^x\.mid: ') as error:
        read_midi(data, 'x.mid')
    assert '\n' not in str(error.value)


def test_a_cut_midi_file_is_refused():
    data = make_midi(band())
    with pytest.raises(BadInput, match=r'x\.mid'):
        read_midi(data[: len(data) // 2], 'x.mid')
