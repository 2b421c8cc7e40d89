"""The held-out report tells a good codec from a bad one."""

import numpy as np

from jen1composer.evaluation.reconstruction import level_difference, reconstruction_report
from tests.jen1composer.tiny_codec import TINY, codec, sound


def test_the_mean_of_alike_sounds_is_a_good_guess_and_an_untrained_codec_is_not():
    sounds = sound(3, 100 * TINY.hop_samples, 2)
    report = reconstruction_report(codec(), sounds, seed=0)
    assert 0 < report['log_mel_db_mean'] < 3
    assert report['log_mel_db_decoded'] > 2 * report['log_mel_db_mean']
    assert report == reconstruction_report(codec(), sounds, seed=0)
    assert np.isfinite(list(report.values())).all()


def test_the_level_is_that_of_what_can_be_heard():
    sounds = sound(3, 1000, 2)
    sounds[1] *= 1e-4
    gains = np.array([2.0, 5.0, 0.5])[:, None, None]
    np.testing.assert_allclose(level_difference(sounds, gains * sounds), [6.02, -6.02], atol=0.01)
    assert level_difference(np.zeros_like(sounds), sounds) == 0
