"""Loudness: the standard's closed forms."""

import numpy as np
import pytest

from data_pipeline.loudness import loudness, rms_db
from tests.data_pipeline.conftest import sine


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


def test_the_reference_sine():
    """BS.1770: 997 Hz at full scale in one channel measures -3.01 LUFS, in two 0."""
    wave = sine(997, 4.0, gain=1.0)
    assert loudness(stereo(wave, 0 * wave)) == pytest.approx(-3.01, abs=0.02)
    assert loudness(stereo(wave, wave)) == pytest.approx(0.0, abs=0.02)


def test_bass_counts_less_and_treble_more():
    at = {hertz: loudness(stereo(*[sine(hertz, 2.0)] * 2)) for hertz in (30, 1000, 8000)}
    assert at[30] < at[1000] - 6
    assert at[8000] == pytest.approx(at[1000] + 3.3, abs=0.4)


def test_silence_between_is_gated_away():
    wave = stereo(*[sine(440, 4.0)] * 2)
    gaps = np.concatenate([wave, np.zeros_like(wave), wave])
    assert loudness(gaps) == pytest.approx(loudness(wave), abs=0.05)
    assert loudness(np.zeros_like(wave)) == -np.inf


@pytest.mark.parametrize('gain_db', [-20.0, 6.0])
def test_gain_moves_both_measures_by_as_much(gain_db: float):
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal((96_000, 2)).astype(np.float32)
    louder = noise * np.float32(10 ** (gain_db / 20))
    assert loudness(louder) - loudness(noise) == pytest.approx(gain_db, abs=1e-3)
    assert rms_db(louder) - rms_db(noise) == pytest.approx(gain_db, abs=1e-3)


def test_rms_of_known_signals():
    assert rms_db(np.ones((10, 2), np.float32)) == pytest.approx(0, abs=1e-6)
    assert rms_db(np.zeros((10, 2), np.float32)) == -120
