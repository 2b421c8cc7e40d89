"""Crops: example i is a function of (seed, i), whatever was read before and by how many hosts."""

import hashlib
import itertools

import numpy as np
import pytest

from data_pipeline.audio_crops import SILENT_RMS, AudioCrops, batches
from data_pipeline.augmentation import Augmentation
from jen1composer.errors import BadInput
from tests.data_pipeline.prepared_folder import make_prepared, song

LENGTH = 4800


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Two training songs: constant levels that name the track, with one track silent."""
    folder = tmp_path_factory.mktemp('crops')
    ramp = np.arange(100_000, dtype=np.float32)[:, None] / 400_000 * np.ones(2)
    stems = np.stack([ramp + 0.1 * track for track in range(3)] + [0 * ramp])
    names = ('s0', 's1')
    return make_prepared(folder, [song(name) for name in names], dict.fromkeys(names, stems))


def crops(data, *, seed=0, num_examples=400, **changes):
    settings = {'split': 'train', 'num_samples': LENGTH} | changes
    return AudioCrops(data, num_examples=num_examples, seed=seed, **settings)


def test_an_example_is_a_function_of_seed_and_index(data):
    first, second = crops(data), crops(data, num_examples=7)
    backwards = [second[i] for i in reversed(range(7))]
    for i, crop in enumerate(reversed(backwards)):
        np.testing.assert_array_equal(crop['waveform'], first[i]['waveform'])
        assert crop['index'] == i
    other = crops(data, seed=1)
    assert any(not np.array_equal(first[i]['waveform'], other[i]['waveform']) for i in range(3))


def test_a_crop_is_one_stem_as_it_was_written(data):
    for i in range(20):
        wave = crops(data)[i]['waveform']
        assert wave.shape == (LENGTH, 2)
        if wave.any():  # a ramp, at the place and on the level of its track
            np.testing.assert_allclose(np.diff(wave[:, 0]), 1 / 400_000, atol=2 / 32768)


@pytest.mark.parametrize('keep_silent', [0.0, 0.3, 1.0])
def test_silence_comes_as_often_as_it_is_kept(data, keep_silent):
    drawn = crops(data, keep_silent=keep_silent)
    silent = np.mean([np.abs(drawn[i]['waveform']).max() < SILENT_RMS for i in range(400)])
    # One track of four is silent; redrawn, it gives way to all four.
    expected = 0.25 * keep_silent / (1 - 0.25 * (1 - keep_silent))
    assert abs(silent - expected) < 0.06


def test_batches_go_on_from_any_step(data):
    whole = list(itertools.islice(batches(crops(data), batch_size=4), 6))
    resumed = list(itertools.islice(batches(crops(data), batch_size=4, first_step=3), 3))
    for step, batch in enumerate(resumed, start=3):
        np.testing.assert_array_equal(batch['waveform'], whole[step]['waveform'])
        np.testing.assert_array_equal(batch['index'], np.arange(4) + 4 * step)
        assert batch['index'].dtype == np.uint32


def test_two_hosts_share_the_batch_of_one(data):
    for first_step in (0, 2):
        alone = next(batches(crops(data), batch_size=4, first_step=first_step))
        parts = [
            next(batches(crops(data), batch_size=4, first_step=first_step, host=host, hosts=2))
            for host in range(2)
        ]
        together = np.concatenate([part['waveform'] for part in parts])
        np.testing.assert_array_equal(together, alone['waveform'])
    with pytest.raises(BadInput, match='batch: 4; allowed are multiples of 3'):
        batches(crops(data), batch_size=4, hosts=3)


def test_a_split_without_a_song_that_is_long_enough_is_refused(data):
    with pytest.raises(BadInput, match='the test split has no song'):
        crops(data, split='test')
    with pytest.raises(BadInput, match=r'at least 2\.29 s'):
        crops(data, num_samples=110_000)


@pytest.mark.parametrize(
    ('settings', 'sha256'),
    [
        ({'seed': 0}, '0d48c9715bc0d598a5b411e3a8a95045feb0519f42283dfd065dab0135a8e970'),
        ({'seed': 7}, '163698f222b3332a913368a4d05bc2abaf3961a129c187d628daa633a27f8500'),
        ({'keep_silent': 1.0}, 'd4e6fa0209a5fd5249be026709a369cbefa99ec6864e8ca90ddc492fd662af24'),
    ],
)
def test_without_options_the_crops_are_what_they_were(data, settings, sha256):
    """The hashes are of the crops before there were options: older runs go on with their data."""
    found = hashlib.sha256()
    for i in range(50):
        found.update(crops(data, **settings)[i]['waveform'].tobytes())
    assert found.hexdigest() == sha256


def level(wave):
    """The ramp's slope, in units of one stem's: how many sounding stems are in a crop."""
    return np.diff(wave[:, 0]).mean() * 400_000


def test_mixed_crops_are_sums_of_every_set_of_stems(data):
    num_examples = 2000
    plain = crops(data, num_examples=num_examples, keep_silent=1.0)
    for mixed in (1.0, 0.5):
        drawn = crops(data, num_examples=num_examples, keep_silent=1.0, mixed=mixed)
        waves = [drawn[i]['waveform'] for i in range(num_examples)]
        # Of three tracks that sound and one that is silent: of 15 sets, so many hold n that sound.
        counts = np.bincount([round(level(wave)) for wave in waves], minlength=4)
        of_sets, of_one = np.array([1, 6, 6, 2]) / 15, np.array([1, 3, 0, 0]) / 4
        share = mixed * of_sets + (1 - mixed) * of_one
        sigma = np.sqrt(share * (1 - share) / num_examples)
        assert np.all(np.abs(counts / num_examples - share) <= 4 * sigma)
    # Those that are not mixed are the plain ones, to the bit.
    same = [np.array_equal(wave, plain[i]['waveform']) for i, wave in enumerate(waves)]
    assert np.mean(same) > 0.5


def test_augmented_crops_are_the_same_music_at_another_level_or_mirrored(data):
    augmentation = Augmentation(gain_db=6.0, swap_channels=0.5)
    drawn = crops(data, keep_silent=0.0, augmentation=augmentation)
    again = crops(data, keep_silent=0.0, augmentation=augmentation)
    plain = crops(data, keep_silent=0.0)
    gains_db = []
    for i in range(200):
        wave = drawn[i]['waveform']
        np.testing.assert_array_equal(wave, again[i]['waveform'])
        gain = wave.sum() / plain[i]['waveform'].sum()
        np.testing.assert_allclose(wave, gain * plain[i]['waveform'], atol=1e-6)
        gains_db.append(20 * np.log10(gain))
    assert -6 <= min(gains_db) < -5 < 5 < max(gains_db) <= 6
    assert abs(np.mean(gains_db)) < 4 * 6 / np.sqrt(3 * 200)


def test_a_sum_that_would_clip_is_quieter_as_a_whole(data):
    loud = crops(data, mixed=1.0, augmentation=Augmentation(gain_db=24.0))
    peaks = [np.abs(loud[i]['waveform']).max() for i in range(100)]
    assert 0.999 < max(peaks) <= 1
    for i in range(100):  # still ramps: nothing was cut off
        slopes = np.diff(loud[i]['waveform'][:, 0])
        assert np.ptp(slopes) <= 1e-2 * np.abs(slopes).max() + 1e-6 + 60 / 32768


def test_odds_out_of_range_are_refused(data):
    with pytest.raises(BadInput, match=r'augment\.mixed: 1\.5; allowed is 0 to 1'):
        crops(data, mixed=1.5)
