"""The held-out report tells a good codec from a bad one."""

import numpy as np

from jen1composer.evaluation.reconstruction import reconstruction_report
from tests.jen1composer.tiny_codec import TINY, codec, sound


def test_the_mean_of_alike_sounds_is_a_good_guess_and_an_untrained_codec_is_not():
    sounds = sound(3, 100 * TINY.hop_samples, 2)
    report = reconstruction_report(codec(), sounds, seed=0)
    assert 0 < report['log_mel_db_mean'] < 3
    assert report['log_mel_db_decoded'] > 2 * report['log_mel_db_mean']
    assert report == reconstruction_report(codec(), sounds, seed=0)
    assert np.isfinite(list(report.values())).all()
