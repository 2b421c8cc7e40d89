"""Coherence: 1 for what is one, 0 by chance, deaf to loudness, and to octaves in pitch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.evaluation.coherence import (
    chroma,
    chroma_agreement,
    coherence,
    correlation,
    cosines,
)
from jen1composer.evaluation.onsets import FIRST_S, FRAME_RATE, onset_strength, sounds
from tests.jen1composer.evaluation.band import clicks, noise, notes

SILENCE = np.zeros((48_000, 2), np.float32)
PULSE = np.arange(0.25, 4, 0.5)
TUNE = (48, 55, 52, 53, 50, 57, 48, 47)


def test_one_rhythm_correlates_whatever_plays_it():
    found = coherence({'bass': clicks(PULSE, frequency_hz=80), 'drums': clicks(PULSE) * 0.3})
    assert found['onset_correlation'] > 0.95
    same = coherence({'bass': clicks(PULSE), 'drums': clicks(PULSE)})
    assert same['onset_correlation'] == pytest.approx(1)


def test_a_rhythm_beside_the_beat_does_not():
    apart = {'bass': clicks(PULSE), 'drums': clicks(PULSE + 0.17)}
    assert coherence(apart)['onset_correlation'] < 0.1


def test_near_forgives_one_frame():
    late = {'bass': clicks(PULSE), 'drums': clicks(PULSE + 1 / FRAME_RATE)}
    found = coherence(late)
    assert found['onset_correlation'] < 0.9 < found['onset_correlation_near']
    assert found['onset_correlation_near'] == pytest.approx(1, abs=0.02)


@given(seed=st.integers(0, 99), near=st.integers(0, 4), lag=st.integers(-4, 4))
def test_the_correlation_finds_a_lag_within_reach_and_is_symmetric(seed, near, lag):
    long = np.random.default_rng(seed).standard_normal(120)
    a, b = long[10:110], long[10 - lag : 110 - lag]
    assert correlation(a, b, near) == pytest.approx(correlation(b, a, near))
    assert (correlation(a, b, near) == pytest.approx(1)) == (abs(lag) <= near)


def test_an_even_signal_correlates_with_nothing():
    assert correlation(np.ones(9), np.arange(9.0)) is None


def test_unrelated_noise_has_none():
    pairs = [coherence({'bass': noise(2 * k), 'drums': noise(2 * k + 1)}) for k in range(4)]
    assert abs(np.mean([pair['onset_correlation'] for pair in pairs])) < 0.1


@pytest.mark.parametrize('octaves', [-1, 1, 2])
def test_octaves_are_not_heard(octaves):
    higher = np.array(TUNE) + 12 * octaves
    cosine, correlated = chroma_agreement(chroma(notes(TUNE)), chroma(notes(higher)))
    assert cosine > 0.97
    assert correlated > 0.95


def test_a_pure_tone_is_its_pitch_class():
    for pitch in range(60, 72):
        assert chroma(notes([pitch], 1.0, harmonics=1)).mean(axis=0).argmax() == pitch % 12


def test_another_tune_agrees_less_and_strangers_not_at_all():
    def agreement(semitones):
        higher = notes(np.array(TUNE) + 12 + semitones)
        found = coherence({'bass': notes(TUNE), 'instrument': higher})
        return found['chroma_correlation']

    assert agreement(0) > 0.9 > 0.5 > agreement(7)  # a fifth shares overtones
    assert np.mean([agreement(k) for k in range(12)]) == pytest.approx(0, abs=0.1)


def test_the_correlation_is_the_cosine_less_the_mean():
    a, b = np.random.default_rng(0).random((2, 5, 12))
    _, correlated = chroma_agreement(a, b)
    rows = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    assert correlated == pytest.approx(np.mean(rows))
    np.testing.assert_allclose(cosines(a, 3 * a), 1)
    assert cosines(np.zeros((1, 12)), a[:1]) == 0


@pytest.mark.parametrize('gain', [0.05, 0.5, 4.0])
def test_loudness_is_not_heard(gain):
    stems = {
        'bass': clicks(PULSE) + notes(TUNE),
        'drums': clicks(PULSE[::2]),
        'instrument': notes(np.array(TUNE) + 4),
    }
    louder = {name: stem * np.float32(gain) for name, stem in stems.items()}
    assert coherence(louder) == pytest.approx(coherence(stems), abs=1e-4)


def test_silence_and_absence_are_none():
    alone = coherence({'bass': clicks(PULSE), 'drums': SILENCE, 'instrument': SILENCE + 1e-4})
    assert set(alone.values()) == {None}
    assert coherence({}).keys() == alone.keys()
    both = coherence({'drums': clicks(PULSE), 'bass': notes(TUNE), 'melody': notes(TUNE)})
    assert both['chroma_cosine_bass_melody'] == pytest.approx(1)
    assert both['chroma_cosine'] is both['chroma_correlation_instrument_melody'] is None


def test_a_stem_sounds_above_60_db_below_full_scale():
    assert sounds(np.full((4096, 2), 1.1e-3))
    for silent in (np.full((4096, 2), 0.9e-3), np.ones((100, 2)), None):
        assert not sounds(silent)


def test_onsets_lie_where_something_begins():
    strength = onset_strength(clicks([1.0, 2.5]))
    peaks = np.flatnonzero(strength > 0.5 * strength.max()) / FRAME_RATE + FIRST_S
    assert np.abs(peaks[:, None] - [1.0, 2.5]).min(axis=1).max() < 0.03
