"""What is heard: the tempo of clicks, the key of cadences, and nothing where there is nothing.

How well it does on music is measured by `tests.data_pipeline.heard`.
"""

import numpy as np
import pytest

from data_pipeline import analysis
from data_pipeline.analysis import RATE, Heard, analyse, find_key, find_tempo, onset_strength
from jen1composer.tracks import SAMPLE_RATE


def pluck(hertz: float, duration_s: float, rate: int, partials: int = 6) -> np.ndarray:
    """A decaying tone with harmonics, float `[sample]`."""
    time_s = np.arange(round(duration_s * rate)) / rate
    wave = sum(np.sin(2 * np.pi * hertz * k * time_s) / k for k in range(1, partials + 1))
    return wave * np.exp(-5 * time_s / duration_s) * np.minimum(1, time_s / 0.003)


def played(notes: list[tuple[float, int]], length_s: float, duration_s: float, rate: int):
    """MIDI pitches at times in seconds, float32 `[sample]`."""
    wave = np.zeros(round(length_s * rate))
    for at_s, midi_pitch in notes:
        note = pluck(440 * 2 ** ((midi_pitch - 69) / 12), duration_s, rate)
        start = round(at_s * rate)
        wave[start : start + len(note)] += note[: len(wave) - start]
    return (0.1 * wave).astype(np.float32)


@pytest.mark.parametrize('bpm', [60, 75, 90, 100, 120, 133, 150, 180])
def test_clicks_are_counted(bpm):
    beats_s = np.arange(0.5, 19.5, 60 / bpm)
    bass, fifth = (played([(at, p) for at in beats_s], 20, 0.2, SAMPLE_RATE) for p in (45, 64))
    heard = analyse(np.stack([bass, fifth], axis=1))
    assert min(abs(heard.bpm / bpm / octave - 1) for octave in (0.5, 1, 2)) < 0.03
    found = np.array(heard.beats_s)
    clicks = beats_s[(beats_s > found[0] - 0.05) & (beats_s < found[-1] + 0.05)]
    assert len(clicks) > 0.8 * len(beats_s)
    nearest = np.abs(found[:, None] - clicks)
    # At half the tempo every other click has a beat, at twice the tempo every other beat a click.
    most = nearest.min(axis=0) if heard.bpm > 0.97 * bpm else nearest.min(axis=1)
    assert most.max() < 0.05


CADENCES = {
    'major': [(0, 4, 7), (5, 9, 12), (7, 11, 14), (0, 4, 7)],
    'minor': [(0, 3, 7), (5, 8, 12), (7, 10, 14), (0, 3, 7)],
}
SCALES = {'major': (0, 2, 4, 5, 7, 9, 11, 12), 'minor': (0, 2, 3, 5, 7, 8, 10, 12)}


@pytest.mark.parametrize('mode', ['major', 'minor'])
@pytest.mark.parametrize(('tonic', 'name'), [(0, 'C'), (3, 'Eb'), (6, 'F#'), (9, 'A'), (11, 'B')])
def test_cadences_have_their_key(tonic, name, mode):
    notes = [(k * 1.0, 48 + tonic + p) for k, chord in enumerate(CADENCES[mode]) for p in chord]
    notes += [(k * 0.5, 60 + tonic + p) for k, p in enumerate(SCALES[mode])]
    notes += [(0.0, 36 + tonic), (3.0, 36 + tonic)]
    assert find_key(played(notes, 4.0, 1.0, RATE)) == f'{name} {mode}'


def noise(duration_s: float, rate: int = SAMPLE_RATE, seed: int = 0) -> np.ndarray:
    shape = (round(duration_s * rate), 2)
    return (0.1 * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('duration_s', [3, 20])
def test_in_noise_nothing_is_heard(duration_s, seed):
    assert analyse(noise(duration_s, seed=seed)) == Heard()


@pytest.mark.parametrize('duration_s', [0.0, 1e-4, 0.5, 0.999, 1.0, 1.3, 30.0])
def test_in_silence_nothing_is_heard_however_long(duration_s):
    assert analyse(np.zeros((round(duration_s * SAMPLE_RATE), 2), np.float32)) == Heard()


@pytest.mark.parametrize('duration_s', [1e-4, 0.5, 0.999])
def test_what_is_shorter_than_a_second_tells_nothing(duration_s):
    assert analyse(noise(duration_s)) == Heard()


def test_a_tone_alone_has_no_tempo_and_no_key():
    tone = 0.2 * np.sin(2 * np.pi * 440 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE)
    assert analyse(np.stack([tone, tone], axis=1).astype(np.float32)) == Heard()


def test_onsets_do_not_depend_on_the_blocks(monkeypatch):
    mono = noise(9.0, RATE)[:, 0]
    whole = onset_strength(mono)
    assert len(whole) == 1 + len(mono) // analysis.HOP
    monkeypatch.setattr(analysis, 'BLOCK_FRAMES', 100)
    np.testing.assert_allclose(onset_strength(mono), whole, atol=1e-5)


def test_a_dotted_rhythm_does_not_hide_the_beat():
    """Strokes three sixteenths apart, as in tresillo: the peak of 4/3 of the tempo is no beat."""
    sixteenth = 60 * RATE / analysis.HOP / 100 / 4
    onsets = np.zeros(2000)
    for bar in np.arange(0, len(onsets) - 16 * sixteenth, 16 * sixteenth):
        for stroke in (0, 3, 6, 8, 11, 14):
            onsets[round(bar + stroke * sixteenth)] = 1
    bpm = find_tempo(np.convolve(onsets, (0.5, 1, 0.5), 'same'))
    assert min(abs(bpm / 100 / octave - 1) for octave in (0.5, 1, 2)) < 0.03


def test_the_middle_of_a_long_song_tells_its_key(monkeypatch):
    monkeypatch.setattr(analysis, 'KEY_SECONDS', 4.0)
    chords = [(k * 1.0, 60 + p) for k, chord in enumerate(CADENCES['major']) for p in chord]
    other = played([(0.0, p) for p in (61, 65, 68)], 4.0, 4.0, RATE)
    assert find_key(np.concatenate([other, played(chords, 4.0, 1.0, RATE), other])) == 'C major'
