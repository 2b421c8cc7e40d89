"""An autoencoder trained in two processes: one run, and the first process writes all of it."""

import json

import jax
import numpy as np
import pytest

from jen1composer.training.codec import Codec
from jen1composer.training.metrics import read_metrics
from tests.launch import processes
from tests.launch.test_train_autoencoder import prepare

TINY = {
    'batch': 4,
    'crop_frames': 30,
    'hop_samples': 36,
    'model.strides': (12, 3),
    'model.channels': (4, 6),
    'model.encoder_blocks': (0, 0),
    'model.decoder_blocks': (0, 1),
    'model.latent_channels': 5,
    'model.bands': 3,
    'losses.sizes': (128,),
    'loop.total_steps': 3,
    'loop.log_every': 1,
    'whitening_channels': 0,
    'heldout.seconds': 0.5,
    'heldout.crops': 2,
    'sharding.strategy': 'fsdp',
}


@pytest.mark.slow
@pytest.mark.pod
def test_two_processes_make_the_codec_that_one_makes(tmp_path):
    prepare(tmp_path / 'data')
    printed = {}
    for count in (1, 2):
        flags = [
            'launch.train_autoencoder',
            '--config=configs/demo_autoencoder.py:quick',
            f'--config.data={tmp_path / "data"}',
            *(f'--config.{name}={value}' for name, value in TINY.items()),
            f'--workdir={tmp_path / str(count)}',
        ]
        printed[count] = processes.run(flags, count, 4 // count, tmp_path / f'logs_{count}')
    one, two = tmp_path / '1', tmp_path / '2'
    assert printed[2] == [(two / 'heldout.json').read_text(), '']
    assert processes.written(one) == processes.written(two)
    for part in ('log_mel', 'validation_log_mel_db'):
        expected, found = (
            [row[part] for row in read_metrics(workdir / 'metrics.jsonl') if part in row]
            for workdir in (one, two)
        )
        assert len(expected) > 1
        np.testing.assert_allclose(found, expected, rtol=1e-4)  # dB are rounded to .001
    expected, found = (Codec.load(workdir / 'codec').params for workdir in (one, two))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), found, expected
    )
    reports = [json.loads((workdir / 'heldout.json').read_text()) for workdir in (one, two)]
    assert reports[0]['parameters'] == reports[1]['parameters']
