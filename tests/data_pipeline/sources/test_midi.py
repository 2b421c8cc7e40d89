"""MIDI: times, parts, tempo and key."""

import io

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.sources.midi import (
    DRUM_KIT,
    MAX_DURATION_S,
    MIN_TEMPO,
    Note,
    beat_times,
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


@given(
    spans=st.lists(
        st.tuples(st.integers(1, 9), st.integers(MIN_TEMPO, 2_000_000)), min_size=1, max_size=6
    ),
    ticks_per_beat=st.sampled_from([1, 96, 480, 960]),
)
def test_beats_follow_a_tempo_that_changes_on_beats(spans, ticks_per_beat: int):
    """In closed form: n beats of m microseconds each, span after span."""
    tempo_map, tick, time_s, wanted = [(0, 0.0, 500_000)], 0, 0.0, []
    for num_beats, tempo in spans:
        tempo_map.append((tick, time_s, tempo))
        wanted += [time_s + k * tempo * 1e-6 for k in range(num_beats)]
        tick += num_beats * ticks_per_beat
        time_s += num_beats * tempo * 1e-6
    found = beat_times(tempo_map, ticks_per_beat, time_s)
    assert found == pytest.approx((*wanted, time_s))


def test_beats_follow_a_tempo_that_changes_within_a_beat():
    """Half a beat at 120 bpm (.25 s), then 60 bpm: the next beat half a beat, .5 s, later."""
    tempo_map = [(0, 0.0, 500_000), (720, 0.75, 1_000_000)]
    assert beat_times(tempo_map, 480, 3.5) == pytest.approx((0, 0.5, 1.25, 2.25, 3.25))
    assert beat_times(tempo_map, 480, 3.2) == pytest.approx((0, 0.5, 1.25, 2.25))


def tempo_file(tempos: list[tuple[int, int]], note_ticks: int) -> bytes:
    """A MIDI file of one long note under (ticks since the last one, microseconds a beat)."""
    file = mido.MidiFile(ticks_per_beat=480)
    changes = [mido.MetaMessage('set_tempo', tempo=tempo, time=ticks) for ticks, tempo in tempos]
    note = [
        mido.Message('note_on', note=60, velocity=90),
        mido.Message('note_off', note=60, time=note_ticks),
    ]
    file.tracks += [mido.MidiTrack(changes), mido.MidiTrack(note)]
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def test_beats_of_a_file_end_with_its_music():
    score = read_midi(tempo_file([(0, 400_000), (960, 600_000)], 5 * 480), 'x')
    assert score.duration_s == pytest.approx(0.8 + 3 * 0.6)
    assert score.beats_s == pytest.approx((0.0, 0.4, 0.8, 1.4, 2.0, 2.6))
    assert score_of({(0, 0): line([60, 62, 64])}).beats_s == pytest.approx((0.0, 0.5))


@pytest.mark.parametrize('tempo', [0, 1, MIN_TEMPO - 1])
def test_a_beat_of_no_length_is_refused(tempo: int):
    with pytest.raises(BadInput, match=rf'^x\.mid: .*a beat of {tempo} microseconds'):
        read_midi(tempo_file([(0, tempo)], 480), 'x.mid')


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
    assert '()' not in str(error.value)


def test_a_cut_midi_file_is_refused():
    data = make_midi(band())
    with pytest.raises(BadInput, match=r'x\.mid'):
        read_midi(data[: len(data) // 2], 'x.mid')


def test_a_key_that_there_is_not_is_refused():
    data = tempo_file([(0, 400_000)], 480)
    bad = data.replace(b'\xff\x51\x03\x06\x1a\x80', b'\xff\x59\x02\x00\x4d\x00')
    assert bad != data
    with pytest.raises(BadInput, match=r'^x\.mid: not a MIDI file that can be read.*key'):
        read_midi(bad, 'x.mid')


def test_whatever_a_broken_file_holds_it_is_read_or_refused_in_one_line():
    """Bytes at random places of a whole file, from mostly few to many, are others."""
    whole = bytearray(make_midi(band()))
    rng = np.random.default_rng(0)
    said = []
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=rng.integers(1, 12)):
            data[place] = rng.integers(256)
        try:
            read_midi(bytes(data), 'x.mid')
        except BadInput as error:
            said.append(str(error))
    assert said
    assert not any('\n' in line for line in said)


def test_a_file_of_more_than_half_an_hour_is_refused():
    ticks = int((MAX_DURATION_S + 1) * 960)
    with pytest.raises(BadInput, match=r'^x\.mid: 1801 s long; allowed is 1800 s$'):
        read_midi(tempo_file([(0, 500_000)], ticks), 'x.mid')
