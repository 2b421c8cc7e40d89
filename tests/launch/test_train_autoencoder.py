"""train_autoencoder: from a prepared folder to a codec, once."""

import copy
import dataclasses
import json
import pathlib
import re
import subprocess
import sys

import flax.linen as nn
import jax
import numpy as np
import pytest

from configs import demo, demo_autoencoder, paper_autoencoder
from jen1composer.errors import BadInput
from jen1composer.models.whitening import whiteness
from jen1composer.training.codec import Codec
from jen1composer.training.loop import NotFinite
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from jen1composer.training.state import parameter_count
from launch.autoencoder_run import autoencoder_run
from tests.data_pipeline.prepared_folder import make_prepared, song
from tests.jen1composer.tiny_codec import sound


def prepare(folder, splits=('train', 'validation', 'test')):
    sounds = {s: np.clip(sound(4, 50_000, 2, seed=len(s)), -1, 1) for s in splits}
    make_prepared(folder, [song(split, split) for split in splits], sounds)


def tiny_config(folder):
    config = demo_autoencoder.get_config('quick')
    config.data = str(folder)
    config.batch, config.crop_frames = 8, 30  # a multiple of the tests' eight devices
    config.model.strides, config.model.channels = (12, 3), (4, 6)
    config.hop_samples = 36
    config.model.encoder_blocks, config.model.decoder_blocks = (0, 0), (0, 1)
    config.model.latent_channels, config.model.bands = 5, 3
    config.model.band_corner_hz = 5000.0
    config.losses.sizes = (128,)
    config.loop.total_steps = 4
    config.whitening_channels = 0
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

    sums = assembled.statistics(state.ema, 'train')
    codec = assembled.codec(state.ema, sums)
    codec.save(tmp_path / 'run' / 'codec')
    report = assembled.report(Codec.load(tmp_path / 'run'))
    assert report.keys() == {'validation', 'test'}
    json.dumps(report)
    white = codec.encode(assembled.data.read(assembled.data.songs('train')[0], 0, 50_000)[None])
    white = white.reshape(-1, codec.latent_channels)
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(white.T @ white / len(white), np.eye(5), atol=1e-3)
    assert whiteness(sums, codec.whitening)['largest_error'] < 0.02
    unheard = whiteness(assembled.statistics(state.ema, 'validation'), codec.whitening)
    assert unheard['frames'] == len(white)
    assert unheard['largest_error'] > 0.02

    again = run_training(assembled.run, tmp_path / 'run')  # done: nothing changes
    jax.tree.map(np.testing.assert_array_equal, state.ema, again.ema)


def adversarial_config(folder):
    config = tiny_config(folder)
    config.model.strides, config.hop_samples = (12, 2), 24
    config.adversary = paper_autoencoder.get_config().adversary
    model = config.adversary.model
    model.periods, model.period_channels = (2, 3), (4, 6)
    model.sizes, model.spectrum_channels, model.dilations = (64,), 4, (2,)
    losses = config.adversary.losses
    losses.learns_from, losses.counts_from, losses.ramp_steps = 1, 2, 2
    return config


class Stopped(Exception):
    """Stands for a kill: nothing is saved on the way out."""


def test_an_adversary_is_trained_beside_and_stays_out_of_the_codec(tmp_path):
    prepare(tmp_path / 'data')
    config = adversarial_config(tmp_path / 'data')
    config.loop.log_every, config.loop.save_every_s = 1, 0.0
    assembled = autoencoder_run(config)
    counts = assembled.parameter_counts
    names = [
        'autoencoder',
        *(f'discriminator_{n}' for n in ('period_2', 'period_3', 'spectrum_64')),
    ]
    assert list(counts) == names

    def stopped_at_three(first_step):
        for number, batch in enumerate(assembled.run.batches(first_step), start=first_step):
            if number == 3:
                raise Stopped
            yield batch

    with pytest.raises(Stopped):
        run_training(dataclasses.replace(assembled.run, batches=stopped_at_three), tmp_path / 'run')
    state = run_training(assembled.run, tmp_path / 'run', evaluate=assembled.evaluate)
    whole = run_training(assembled.run, tmp_path / 'whole')
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(state), jax.device_get(whole))
    assert sum(counts.values()) == parameter_count(state.params)

    rows = [row for row in read_metrics(tmp_path / 'run' / 'metrics.jsonl') if 'loss' in row]
    assert [row['adversary_ramp'] for row in rows] == [0, 0, 0, 0.5]
    terms = {'adversarial', 'feature_matching', 'gradient_norm_autoencoder', *names[1:]}
    assert terms | {'log_mel', 'gradient_norm_discriminator'} < rows[0].keys()
    assert [row['discriminator_period_2'] > 0 for row in rows] == [False, True, True, True]

    weights = assembled.weights(state)
    codec = assembled.codec(weights, assembled.statistics(weights, 'train'))
    codec.save(tmp_path / 'codec')
    assert Codec.load(tmp_path / 'codec').fingerprint == codec.fingerprint


def test_a_discriminator_that_is_not_finite_ends_the_run_by_name(tmp_path):
    prepare(tmp_path / 'data')
    run = autoencoder_run(adversarial_config(tmp_path / 'data')).run

    def poisoned():
        params = run.recipe.init_params()
        layer = params['discriminator']['period_3']['Conv2D_1']
        layer['bias'] = layer['bias'].replace(value=layer['bias'].value * np.nan)
        return params

    recipe = dataclasses.replace(run.recipe, init_params=poisoned)
    with pytest.raises(NotFinite, match='in step 2: ') as caught:
        run_training(dataclasses.replace(run, recipe=recipe), tmp_path / 'run')
    named = set(re.findall(r'(\w+) became nan', str(caught.value)))
    assert {'discriminator_period_3', 'gradient_norm_discriminator', 'adversarial'} < named
    assert not named & {'discriminator_period_2', 'log_mel', 'latent_power'}


def test_the_whitening_takes_songs_evenly(tmp_path):
    prepare(tmp_path / 'data')
    assembled = autoencoder_run(tiny_config(tmp_path / 'data'))
    [song] = assembled.data.songs('train')
    eight = [dataclasses.replace(song, title=str(i)) for i in range(8)]
    config = tiny_config(tmp_path / 'data')
    config.whitening_songs = 3
    data = copy.copy(assembled.data)
    data.songs = lambda split: eight
    assembled = dataclasses.replace(assembled, config=config, data=data)
    seen = []
    params = nn.unbox(assembled.run.recipe.init_params())
    assembled.statistics(params, 'train', lambda it: seen.extend(s.title for s in it) or it)
    assert seen == ['0', '2', '5']


@pytest.mark.slow
def test_what_is_done_is_kept_and_what_is_torn_or_asked_otherwise_is_made_again(tmp_path):
    """The command itself: each call is told apart by what it leaves."""
    prepare(tmp_path / 'data')
    config = tmp_path / 'config.py'
    config.write_text(
        'import pathlib\n'
        'from tests.launch.test_train_autoencoder import tiny_config\n'
        f'def get_config():\n    return tiny_config(pathlib.Path({str(tmp_path / "data")!r}))\n'
    )
    workdir = tmp_path / 'run'

    def train(*flags):
        command = [sys.executable, '-m', 'launch.train_autoencoder', f'--config={config}']
        done = subprocess.run(
            [*command, f'--workdir={workdir}', *flags],
            cwd=pathlib.Path(__file__).parents[2],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    report = workdir / 'heldout.json'
    first = train()
    assert first['made_with'] == {
        'whitening_songs': 1000,
        'whitening_channels': 0,
        'heldout': {'seconds': 0.5, 'crops': 2},
    }
    assert first['whiteness'].keys() == {'train', 'validation'}
    written = report.stat()
    assert train() == first
    assert report.stat() == written  # done: not made again
    report.write_text(report.read_text()[:100])
    assert train() == first
    codec = (workdir / 'codec' / 'model.safetensors').stat()
    longer = train('--config.heldout.seconds=0.8')
    assert longer['made_with']['heldout']['seconds'] == 0.8
    assert longer['test'] != first['test']
    assert (workdir / 'codec' / 'model.safetensors').stat() == codec
    assert train('--config.whitening_channels=3')['latent_channels'] == 3


@pytest.mark.parametrize(
    ('name', 'value', 'allowed'),
    [
        ('seed', -1, 'is 0 to 4294967295'),
        ('crop_frames', 0, 'is 1 or more'),
        ('keep_silent', 1.5, 'is 0 to 1'),
        ('ema_decay', 1.0, 'is 0 to below 1'),
        ('whitening_songs', 0, 'is 1 or more'),
        ('whitening_channels', 6, 'is 0 to 5'),
        ('heldout.crops', 0, 'is 1 or more'),
        ('hop_samples', 35, 'is the product of model.strides, 36'),
        ('heldout.seconds', 0.0427, 'is 0.04275 or more'),  # 57 frames of 36 samples
    ],
)
def test_values_of_the_config_are_refused_by_name(tmp_path, name, value, allowed):
    config = tiny_config(tmp_path)
    config.update_from_flattened_dict({name: value})
    with pytest.raises(BadInput, match=f'--config.{name}: {value}; allowed {allowed}'):
        autoencoder_run(config)


@pytest.mark.parametrize(
    ('name', 'value', 'allowed'),
    [
        ('losses.sizes', (2048.0, 512), 'are one or more whole numbers, multiples of 16'),
        ('optimizer.name', 'lion', 'are adamw, muon'),
        ('adversary.model.periods', (2, 2), 'are distinct'),
        ('adversary.losses.adversarial', -1.0, 'is 0 or more'),
        ('adversary.optimizer.name', 'lion', 'are adamw, muon'),
        ('augment.gain_db', -1.0, 'is 0 to 24'),
        ('augment.mixed', 1.5, 'is 0 to 1'),
    ],
)
def test_values_of_a_section_are_refused_by_their_name_in_the_file(tmp_path, name, value, allowed):
    prepare(tmp_path / 'data')
    config = adversarial_config(tmp_path / 'data')
    config.augment = paper_autoencoder.get_config().augment
    config.update_from_flattened_dict({name: value})
    with pytest.raises(BadInput) as refused:
        autoencoder_run(config)
    assert str(refused.value) == f'{name}: {value!r}; allowed {allowed}'


def test_augmentation_shapes_the_crops_and_is_part_of_what_a_run_is(tmp_path):
    prepare(tmp_path / 'data')
    plain = autoencoder_run(tiny_config(tmp_path / 'data'))
    assert not [key for key in plain.run.identity if key.startswith('augment')]
    config = tiny_config(tmp_path / 'data')
    config.augment = paper_autoencoder.get_config().augment
    config.augment.mixed = 0.0
    augmented = autoencoder_run(config)
    assert augmented.run.identity['augment.gain_db'] == config.augment.gain_db
    was, now = (next(run.run.batches(0))['waveform'] for run in (plain, augmented))
    for before, after in zip(was, now, strict=True):
        assert np.array_equal(before, after) == (not before.any())
    for split, sounds in plain.heldout.items():
        np.testing.assert_array_equal(sounds, augmented.heldout[split])
    config.augment.gain = 1.0
    with pytest.raises(BadInput, match=r"--config\.augment: .* unexpected .* 'gain'"):
        autoencoder_run(config)


def test_a_config_of_the_composer_is_refused():
    with pytest.raises(BadInput, match=r'not a config of train_autoencoder, .* crop_frames, task'):
        autoencoder_run(demo.get_config())


def test_what_cannot_be_trained_is_refused_before_the_training(tmp_path):
    prepare(tmp_path / 'data', splits=('train', 'validation'))
    with pytest.raises(BadInput, match='the test split has no song'):
        autoencoder_run(tiny_config(tmp_path / 'data'))
    config = tiny_config(tmp_path / 'data')
    config.model.kernel = 4
    with pytest.raises(BadInput, match=r'model\.kernel: 4; allowed are odd widths'):
        autoencoder_run(config)
    config = adversarial_config(tmp_path / 'data')
    del config.adversary['losses']
    with pytest.raises(BadInput, match=r'in adversary, which needs losses\. beside'):
        autoencoder_run(config)
    with pytest.raises(BadInput, match='not a prepared data folder'):
        autoencoder_run(tiny_config(tmp_path / 'nowhere'))
