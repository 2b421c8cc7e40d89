"""Log-mel distance: a scale in dB, silent on silence."""

import numpy as np
import pytest

from jen1composer.evaluation.log_mel import (
    FLOOR_DB,
    filterbank,
    log_mel,
    log_mel_distance,
)
from tests.jen1composer.tiny_codec import sound


def test_a_full_scale_tone_reads_close_to_0_db_in_its_band():
    time_s = np.arange(8192) / 48_000
    tone = np.sin(2 * np.pi * 1500 * time_s)[:, None].repeat(2, axis=1)
    spectrum = log_mel(tone)
    assert -1.0 < spectrum[2].max() < 2.0
    band = spectrum[2].argmax()
    assert abs(filterbank()[band].argmax() * 48_000 / 2048 - 1500) < 50


@pytest.mark.parametrize('gain_db', [-12.0, -3.0, 6.0])
def test_a_change_of_gain_is_its_distance(gain_db):
    x = sound(8192, 2)
    louder = x * 10 ** (gain_db / 20)
    distance = log_mel_distance(log_mel(x), log_mel(louder))
    np.testing.assert_allclose(distance, abs(gain_db), rtol=1e-3)


def test_the_truth_alone_chooses_the_frames():
    x, silence = sound(8192, 2), np.zeros((8192, 2))
    truth = log_mel(np.concatenate([x, silence]))
    guess = log_mel(np.concatenate([x / 2, silence]))
    louder = np.where((truth > FLOOR_DB).any(-1)[:, None], guess, 0.0)  # in the truth's silence
    assert log_mel_distance(truth, guess) == log_mel_distance(truth, louder) > 6


def test_a_truth_that_is_silent_throughout_is_measured_too():
    silence = log_mel(np.zeros((8192, 2)))
    assert log_mel_distance(silence, silence) == 0
    assert log_mel_distance(silence, silence + 20) == 20


def test_silence_does_not_dilute():
    x, silence = sound(8192, 2), np.zeros((8192, 2))
    assert (log_mel(silence) == FLOOR_DB).all()
    half = np.concatenate([x, silence, silence])
    full = np.concatenate([x / 2, silence, silence])
    distance = log_mel_distance(log_mel(half), log_mel(full))
    np.testing.assert_allclose(distance, 6.02, atol=0.1)  # the silent frames do not dilute it
