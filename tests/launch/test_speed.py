"""The benchmark of the models' speed: only the same networks are compared, in turn."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from etils import epath
from safetensors.numpy import load_file

from configs import demo, demo_autoencoder
from jen1composer.errors import BadInput, RunFailed
from jen1composer.training.state import parameter_count
from launch import sampling_benchmark, speed_parts, start_benchmark, train_benchmark
from launch.description import subject_of
from launch.train_benchmark import ratios, rounds_of
from launch.train_cases import CASES, GIVEN, Trainer
from launch.train_peer import OUTPUT_AGREES, Peer, require_same, write_job
from tests.jen1composer import tiny_composer

ROOT = pathlib.Path(__file__).parents[2]
FACTS = {'parameters': 10, 'gradient_flops': 1000, 'error': 1e-6, 'scale': 0.5}


def small(name: str):
    """The demo's config of that network, of which a step takes milliseconds."""
    if name == 'composer':
        config = demo.get_config()
        config.batch, config.data.window_frames = 2, 16
        config.model.channels, config.model.head_width = (16, 32), 16
        config.model.factors, config.model.blocks = (1, 2), (1, 1)
        config.model.attentions = (0, 1)
        return config
    config = demo_autoencoder.get_config()
    config.batch, config.crop_frames = 2, 3
    config.model.channels, config.whitening_channels = (16, 24), 0
    config.losses.sizes = (128,)
    return config


@pytest.mark.parametrize('name', ['composer', 'autoencoder'])
def test_the_peer_is_given_the_weights_and_what_comes_of_them(name, tmp_path):
    trainer = Trainer(small(name), ('adamw',))
    write_job(tmp_path, trainer)
    arrays = load_file(tmp_path / 'arrays.safetensors')
    sizes = [value.size for key, value in arrays.items() if key.startswith('weights/')]
    assert sum(sizes) == parameter_count(trainer.params)
    assert np.square(arrays['expected']).mean() > 1e-8  # weights that begin at zero are shaken
    before = {key: np.asarray(value).copy() for key, value in flat(trainer.params).items()}
    assert len(trainer.times('adamw', 2)) == 2
    assert any((value != before[key]).any() for key, value in flat(trainer.params).items())


def flat(tree, prefix=''):
    if not isinstance(tree, dict):
        return {prefix: tree}
    return {k: v for name, sub in tree.items() for k, v in flat(sub, f'{prefix}/{name}').items()}


@pytest.mark.peer
@pytest.mark.parametrize(
    ('name', 'dtype'),
    [('composer', 'float32'), ('composer', 'bfloat16'), ('autoencoder', 'float32')],
)
def test_the_peer_is_the_same_network(name, dtype, tmp_path):
    python = os.environ.get('PEER_PYTHON')
    if not python:
        pytest.skip("PEER_PYTHON names no Python with the peer's libraries")
    config = small(name)
    if name == 'composer':
        config.model.dtype = dtype
    trainer = Trainer(config, ('adamw',))
    write_job(tmp_path, trainer)
    peer = Peer(python, tmp_path, 'eager', 1)
    assert len(peer.times(2)) == 2
    peer.close()
    parameters, flops = parameter_count(trainer.params), trainer.subject.model_flops
    require_same(parameters, flops, dtype, peer.facts)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'parameters': 11}, '11 parameters; what can be compared has 10'),
        ({'gradient_flops': 1100}, '1100 operations; what can be compared has 1000 within 3 %'),
        ({'error': 0.1}, 'an output that is off by 2.0e-01'),
    ],
)
def test_another_network_is_not_compared(change, message):
    require_same(10, 1000, 'float32', FACTS)
    with pytest.raises(BadInput, match=message):
        require_same(10, 1000, 'float32', FACTS | change)


def test_an_output_may_be_off_by_what_its_arithmetic_rounds():
    for dtype, epsilon in (('float32', 2**-23), ('bfloat16', 2**-7)):
        most = OUTPUT_AGREES[dtype]
        assert epsilon < most < 1000 * epsilon  # room for sums in another order, and no more
        for share, agrees in ((0.99, True), (1.01, False)):
            facts = FACTS | {'error': share * most * FACTS['scale']}
            with contextlib.nullcontext() if agrees else pytest.raises(BadInput, match=dtype):
                require_same(10, 1000, dtype, facts)


def test_sides_take_turns_and_a_ratio_is_of_one_round():
    asked, peaks = [], []

    def side(name, seconds):
        def times(count):
            asked.append(name)
            return [seconds * len(asked)] * count

        return times

    sides = {'a': side('a', 1.0), 'b': side('b', 2.0)}
    found = rounds_of(sides, 3, 2, peaks, lambda: 1.0, iter)
    assert asked == ['a', 'b', 'b', 'a', 'a', 'b', 'b', 'a']
    assert found == {'a': [4.0, 5.0, 8.0], 'b': [6.0, 12.0, 14.0]}  # the first is left out
    assert ratios(found['a'], found['b'])['rounds'] == [4 / 6, 5 / 12, 8 / 14]
    assert len(peaks) == 4


def test_what_was_measured_is_written_case_by_case(monkeypatch, tmp_path):
    def case(config, peer_python, modes, rounds, steps, threads, peaks, progress):
        found = peaks['float32']
        if len(found) == 2:
            raise RunFailed('the third failed')
        found.append((1e9, 3e9)[len(found)])
        side = {'median_s': 2.0, 'least_s': 1.0, 'most_s': 3.0}
        row = {'dtype': 'float32', 'parameters': 1, 'model_flops': 3e9}
        return row | {'sides': {'ours': side}, 'ratios': {}}

    monkeypatch.setattr(train_benchmark, '_measure_one', case)
    options = speed_parts.Options(
        peer_python=None,
        workdir=None,
        rounds=1,
        dtype='float32',
        cases=(),
        muon=True,
        quick=False,
        progress=lambda items, desc: items,
    )
    with pytest.raises(RunFailed, match='the third failed'):
        speed_parts.measure_parts(('train',), options, epath.Path(tmp_path))
    found = json.loads((tmp_path / 'train.json').read_text())
    assert [row['name'] for row in found['rows']] == ['composer', 'autoencoder']
    # both by the most that was multiplied, which was in the second case
    assert [row['sides']['ours']['mfu'] for row in found['rows']] == [0.5, 0.5]
    assert 'autoencoder, ' in (tmp_path / 'speed.html').read_text()
    assert not list(tmp_path.glob('*.aside'))


def test_sampling_is_nearer_to_many_steps_with_more_and_at_none_with_as_many():
    composer = tiny_composer.composer()
    spec = dataclasses.replace(composer.spec, window_frames=40)  # longer than a spectrum's frame
    found = sampling_benchmark.measure_sampling(
        dataclasses.replace(composer, spec=spec),
        samplers=('ddim',),
        steps=(2, 8),
        repeats=1,
        progress=lambda items, desc: items,
        seconds=0.05,
        reference_steps=8,
    )
    few, many = found['rows']
    assert few['distance_db'] > many['distance_db'] == 0
    for row in found['rows']:
        assert row['music_s_per_s'] * row['seconds'] == pytest.approx(found['music_s'])
    (table,) = sampling_benchmark.tables(found)
    assert all(len(row) == len(table.header) for row in table.rows)


def test_a_start_takes_as_long_as_its_process_and_its_failure_is_told():
    assert 0.2 < start_benchmark.seconds_of('import time; time.sleep(.2)', {}) < 30
    with pytest.raises(RunFailed, match='ZeroDivisionError'):
        start_benchmark.seconds_of('1 / 0', {})
    for code in (start_benchmark.FIRST_STEP, start_benchmark.FIRST_SOUND):
        compile(code.format(workdir=None), 'start', 'exec')


@pytest.mark.parametrize(
    ('only', 'flag'),
    [
        ('train', '--peer=torch'),
        ('train', '--peer_python=/no/such'),
        ('train', '--dtype=float16'),
        ('train', '--cases=nothing'),
        ('tracks', '--cases=composer'),
    ],
)
def test_bad_input_is_one_line(only, flag, tmp_path):
    command = [sys.executable, '-m', 'launch.benchmark', f'--out={tmp_path}', f'--only={only}']
    result = subprocess.run([*command, flag], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    last, (name, value) = result.stderr.splitlines()[-1], flag.split('=')
    assert last.startswith('error: ')
    assert name in last or value in last


def test_what_needs_an_accelerator_is_not_begun_without_one(monkeypatch):
    monkeypatch.setattr(train_benchmark, '_measure_one', None)
    asked = train_benchmark.measure_training(
        ['composer', 'paper composer'],
        peer_python=None,
        rounds=1,
        steps=1,
        threads=1,
        dtype='bfloat16',
        muon=False,
        progress=lambda items, desc: items,
    )
    with pytest.raises(BadInput, match="--cases: 'paper composer'"):
        next(asked)


def test_the_case_of_the_papers_size_is_one_that_the_peer_has():
    config = CASES['paper composer'].config()
    model = subject_of(config, GIVEN, None)
    shapes = jax.eval_shape(model.init_params)
    assert 7e8 < sum(leaf.size for leaf in jax.tree.leaves(shapes)) < 8e8
    assert config.model.norm_groups == 1
    assert 'context_width' not in config.model


def test_a_python_without_torch_is_refused(tmp_path):
    (tmp_path / 'job.json').write_text(json.dumps({}))
    with pytest.raises(BadInput, match='allowed is a Python with torch and safetensors'):
        Peer(sys.executable, tmp_path, 'eager', 1)
    with pytest.raises(BadInput, match='--peer_python=/no/such'):
        Peer('/no/such', tmp_path, 'eager', 1)
