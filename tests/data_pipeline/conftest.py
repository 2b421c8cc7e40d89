"""Small music for the tests: MIDI files made of notes, folders made of sine waves."""

import io
import pathlib
from collections.abc import Sequence

import mido
import numpy as np
import pytest
import soundfile

from data_pipeline.sources.midi import Note, Score, read_midi
from data_pipeline.sources.scores import fetch_font
from tests.data_pipeline.bucket import bucket  # noqa: F401

RATE = 48_000
TICKS_PER_BEAT = 480


@pytest.fixture(scope='session')
def font() -> bytes:
    """The SoundFont that the data set is rendered with."""
    return fetch_font()


def make_midi(
    parts: dict[tuple[int, int], Sequence[Note]], bpm: float = 120.0, controls: Sequence = ()
) -> bytes:
    """A MIDI file with the notes (seconds) of (channel, program); controls are messages at 0 s."""
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    track = mido.MidiTrack([mido.MetaMessage('set_tempo', tempo=mido.bpm2tempo(bpm)), *controls])
    timed = []
    for (channel, program), notes in parts.items():
        track.append(mido.Message('program_change', channel=channel, program=max(program, 0)))
        for n in notes:
            on = mido.Message('note_on', channel=channel, note=n.pitch, velocity=n.velocity)
            off = mido.Message('note_off', channel=channel, note=n.pitch)
            timed += [(n.start_s, 1, on), (n.end_s, 0, off)]
    last = 0
    for time_s, _, message in sorted(timed, key=lambda item: item[:2]):
        tick = round(time_s * bpm / 60 * TICKS_PER_BEAT)
        track.append(message.copy(time=tick - last))
        last = tick
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def line(pitches: Sequence[int], step_s: float = 0.25, velocity: int = 96) -> list[Note]:
    """One note after the other."""
    return [Note(k * step_s, (k + 1) * step_s, p, velocity) for k, p in enumerate(pitches)]


def band() -> dict[tuple[int, int], list[Note]]:
    """Bass, drums, chords and a lead, four seconds."""
    chords = [n for pitch in (60, 64, 67) for n in line([pitch] * 4, step_s=1.0)]
    return {
        (0, 33): line([36, 36, 43, 43] * 4),
        (9, -1): line([36, 42, 38, 42] * 4),
        (1, 48): chords,
        (2, 81): line([72, 74, 76, 77, 79, 81, 83, 84] * 2),
    }


def score_of(parts: dict[tuple[int, int], Sequence[Note]], **kwargs) -> Score:
    return read_midi(make_midi(parts, **kwargs), 'test.mid')


def sine(hertz: float, duration_s: float, rate: int = RATE, gain: float = 0.2) -> np.ndarray:
    """Mono, float32 `[sample]`."""
    time_s = np.arange(round(duration_s * rate)) / rate
    return (gain * np.sin(2 * np.pi * hertz * time_s)).astype(np.float32)


def write_stems(
    root: pathlib.Path, num_songs: int, duration_s: float = 1.5, rate: int = RATE
) -> pathlib.Path:
    """Songs s0, s1, ... of four stems that differ between songs."""
    for k in range(num_songs):
        folder = root / f's{k}'
        folder.mkdir(parents=True)
        for j, name in enumerate(('bass', 'drums', 'piano', 'vocals')):
            wave = sine(55 * 2**j * (1 + k / 7), duration_s, rate)
            soundfile.write(folder / f'{name}.wav', np.stack([wave, -wave / 2], 1), rate)
    return root
