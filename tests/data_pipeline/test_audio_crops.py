"""Crops: example i is a function of (seed, i), whatever was read before and by how many hosts."""

import itertools

import numpy as np
import pytest

from data_pipeline.audio_crops import SILENT_RMS, AudioCrops, batches
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
