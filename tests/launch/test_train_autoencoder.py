"""train_autoencoder: from a prepared folder to a codec, once."""

import json

import jax
import numpy as np
import pytest

from configs import demo_autoencoder
from data_pipeline import records
from jen1composer.errors import BadInput
from jen1composer.training.codec import Codec
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from launch.autoencoder_run import autoencoder_run
from tests.jen1composer.tiny_codec import sound


def prepare(folder, splits=('train', 'validation', 'test')):
    songs = []
    for split in splits:
        song = records.write_song(
            folder,
            split,
            np.clip(sound(4, 50_000, 2, seed=len(split)), -1, 1),
            title='',
            tags={},
            prompt='',
            source_sha256=split,
            recipe='',
        )
        songs.append(records.dataclasses.replace(song, split=split))
    records.write_manifest(folder, songs, source='test', settings={}, quarantined=[])


def tiny_config(folder):
    config = demo_autoencoder.get_config('quick')
    config.data = str(folder)
    config.batch, config.crop_frames = 8, 30  # a multiple of the tests' eight devices
    config.model.strides, config.model.channels = (12, 3), (4, 6)
    config.model.encoder_blocks, config.model.decoder_blocks = (0, 0), (0, 1)
    config.model.latent_channels, config.model.bands = 5, 3
    config.model.band_corner_hz = 5000.0
    config.losses.sizes = (128,)
    config.loop.total_steps = 4
    config.heldout.seconds, config.heldout.crops = 0.5, 2
    return config


def test_a_run_makes_a_codec_that_knows_its_latents(tmp_path):
    prepare(tmp_path / 'data')
    config = tiny_config(tmp_path / 'data')
    assembled = autoencoder_run(config)
    state = run_training(assembled.run, tmp_path / 'run', evaluate=assembled.evaluate)
    rows = read_metrics(tmp_path / 'run' / 'metrics.jsonl')
    assert {'log_mel', 'log_magnitude', 'waveform', 'latent_power'} < rows[-2].keys()
    assert rows[-1]['step'] == 4
    assert rows[-1]['validation_log_mel_db'] > 0

    codec = assembled.codec(state.ema, iter)
    codec.save(tmp_path / 'run' / 'codec')
    report = assembled.report(Codec.load(tmp_path / 'run'))
    assert report.keys() == {'validation', 'test'}
    json.dumps(report)
    white = codec.encode(assembled.data.read(assembled.data.songs('train')[0], 0, 48_000)[None])
    white = white.reshape(-1, codec.latent_channels)
    np.testing.assert_allclose(white.mean(0), 0, atol=0.3)  # about white: it was fitted on crops
    np.testing.assert_allclose(white.std(0), 1, atol=0.3)

    again = run_training(assembled.run, tmp_path / 'run')  # done: nothing changes
    jax.tree.map(np.testing.assert_array_equal, state.ema, again.ema)


def test_what_cannot_be_trained_is_refused_before_the_training(tmp_path):
    prepare(tmp_path / 'data', splits=('train', 'validation'))
    with pytest.raises(BadInput, match='the test split has no song'):
        autoencoder_run(tiny_config(tmp_path / 'data'))
    config = tiny_config(tmp_path / 'data')
    config.model.kernel = 4
    with pytest.raises(BadInput, match=r'--config\.model: .* allowed are odd widths'):
        autoencoder_run(config)
    with pytest.raises(BadInput, match='not a prepared data folder'):
        autoencoder_run(tiny_config(tmp_path / 'nowhere'))
