"""Levels by their definitions, and what is said of sound that is wrong."""

import numpy as np
import pytest

from jen1composer.generation.soundness import LEAST_DB, SILENT_DB, peak, rms_db, warnings_of
from tests.jen1composer.tiny_codec import sound


@pytest.mark.parametrize('gain_db', [-80.0, -20.0, 0.0, 30.0])
def test_levels_follow_the_gain_and_parts_are_as_the_whole(gain_db):
    whole = sound(1001, 2) * np.float32(10 ** (gain_db / 20))
    expected = 10 * np.log10(np.mean(whole.astype(np.float64) ** 2))
    for parts in ([whole], [whole[:300], whole[300:]]):
        assert rms_db(*parts) == pytest.approx(expected, abs=1e-9)
        assert peak(*parts) == np.abs(whole).max()
    assert rms_db(0 * whole) == LEAST_DB


@pytest.mark.parametrize('level_db', [SILENT_DB - 0.01, SILENT_DB + 0.01])
def test_what_is_below_the_threshold_is_silent(level_db):
    tone = np.full((100, 2), 10 ** (level_db / 20))
    assert warnings_of(tone, ()) == (('silent',) if level_db < SILENT_DB else ())


def test_only_what_was_made_is_judged():
    audio = np.concatenate([sound(100, 2), 0 * sound(100, 2), 20 * sound(100, 2)])
    assert warnings_of(audio, ((0, 100),)) == ()
    assert warnings_of(audio, ((100, 200),)) == ('silent',)
    assert warnings_of(audio, ((0, 50), (200, 300))) == ('clipped',)
    for wrong in (np.nan, np.inf, -np.inf):
        audio[150, 1] = wrong
        assert warnings_of(audio, ((100, 200),)) == ('not finite',)
        assert warnings_of(audio, ((0, 100),)) == ()
        assert rms_db(audio) is None
        assert peak(audio) is None
