"""Levels: the standard's tone, shares that can be counted."""

import numpy as np
import pytest

from jen1composer.evaluation.levels import levels, silent_share
from tests.jen1composer.evaluation.band import noise


def tone(amplitude: float, seconds: float = 3.0) -> np.ndarray:
    time_s = np.arange(round(seconds * 48_000)) / 48_000
    return amplitude * np.repeat(np.sin(2 * np.pi * 997 * time_s)[:, None], 2, axis=1)


def test_the_tone_of_the_standard():
    # BS.1770: 997 Hz at full scale in one channel is -3.01 LUFS, so in two it is 0.
    found = levels(tone(0.1))
    assert found['loudness_lufs'] == pytest.approx(-20, abs=0.1)
    assert found['peak_db'] == pytest.approx(-20, abs=0.01)
    assert found['silent_share'] == found['clipped_share'] == 0


@pytest.mark.parametrize('gain_db', [-12.0, 6.0])
def test_a_gain_is_added_to_loudness_and_peak(gain_db):
    before, after = levels(noise(0)), levels(noise(0) * 10 ** (gain_db / 20))
    assert after['loudness_lufs'] - before['loudness_lufs'] == pytest.approx(gain_db, abs=0.01)
    assert after['peak_db'] - before['peak_db'] == pytest.approx(gain_db, abs=0.01)


def test_silence():
    found = levels(np.zeros((9600, 2), np.float32))
    assert found == {
        'loudness_lufs': None,
        'peak_db': None,
        'silent_share': 1.0,
        'clipped_share': 0.0,
    }


def test_shares_are_of_blocks_and_of_samples():
    part = np.concatenate([noise(1, 0.3), np.zeros((4800, 2)), noise(2, 0.05)])
    assert silent_share(part) == pytest.approx(1 / 5)  # the short last block counts as one
    clipped = np.clip(tone(2.0, 1.0), -1, 1)
    assert levels(clipped)['clipped_share'] == pytest.approx(2 / 3, abs=0.01)  # |sin| > 1/2
    broken = np.array([[0.0, np.nan], [np.inf, 0.5]])
    assert levels(broken)['clipped_share'] == 0.5


def test_nothing_is_refused():
    with pytest.raises(ValueError, match='no samples'):
        levels(np.zeros((0, 2)))
