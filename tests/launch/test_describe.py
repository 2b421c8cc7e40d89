"""The command: it counts what is there, from shapes alone, and says in one line what it cannot."""

import functools
import json
import math
import pathlib
import subprocess
import sys

import flax.linen as nn
import jax
import pytest

from configs import demo, demo_autoencoder, paper_autoencoder
from jen1composer.training.state import parameter_count
from launch.description import GivenByData, describe, subject_of, unet_part
from tests import tiny

ROOT = pathlib.Path(__file__).parents[2]
GIVEN = GivenByData(
    num_tracks=4, latent_channels=24, text_width=384, prompt_tokens=12, prefix_tokens=8
)


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'launch.describe', *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@functools.cache
def said(name: str, compile_too: bool = False, remat: str = 'none') -> dict:
    config = {'demo': demo, 'demo_autoencoder': demo_autoencoder}[name].get_config()
    config.batch = 2
    if name == 'demo':
        config.model.remat = remat
    return describe(subject_of(config, GIVEN, 16), compile_too=compile_too)


@pytest.mark.parametrize('name', ['demo', 'demo_autoencoder'])
def test_parts_add_up_and_memory_is_that_of_the_parameters(name):
    found = said(name)
    for counts in (found['parameters'], found['flops']['forward']):
        assert sum(counts.values()) == 2 * counts['total']
        assert len(counts) > 2
    weights = 4 * found['parameters']['total']
    memory = found['bytes']
    assert memory['weights'] == memory['gradients'] == memory['average'] == weights
    assert weights < memory['optimizer'] < 1.02 * weights  # Muon: a second moment of biases alone
    assert found['flops']['forward']['total'] < found['flops']['forward_by_xla']


@pytest.mark.parametrize('name', ['demo', 'demo_autoencoder'])
def test_both_counts_of_the_network_agree(name):
    flops = said(name)['flops']
    assert abs(flops['forward']['total'] / flops['forward_by_xla'] - 1) < 0.05
    assert abs(flops['gradient'] / flops['gradient_by_xla'] - 1) < 0.05


@pytest.mark.parametrize('remat', ['block', 'full'])
def test_what_is_computed_again_is_in_both_counts(remat):
    once, again = said('demo')['flops'], said('demo', remat=remat)['flops']
    assert again['gradient'] > 1.1 * once['gradient']
    assert abs(again['gradient'] / again['gradient_by_xla'] - 1) < 0.05


def test_muon_adds_its_products_to_the_step():
    def step(optimizer: str) -> int:
        config = demo.get_config()
        config.batch, config.optimizer.name = 1, optimizer
        subject = subject_of(config, GIVEN, 4)
        return describe(subject, compile_too=False)['flops']['training_step_by_xla']

    config = demo.get_config()
    params = nn.unbox(jax.eval_shape(subject_of(config, GIVEN, 4).init_params))
    sizes = [
        sorted((math.prod(leaf.shape[:-1]), leaf.shape[-1]))
        for leaf in jax.tree.leaves(params)
        if leaf.ndim > 1
    ]
    products = sum(
        20 * a**2 * b + 10 * a**3 if b < 1.5 * a else 4 * a**2 * b + 34 * a**3 for a, b in sizes
    )
    assert abs((step('muon') - step('adamw')) / products - 1) < 0.05


def test_parts_are_counted_under_the_names_of_their_operations():
    params = jax.eval_shape(lambda: tiny.init_params(tiny.UNET))
    parts = {unet_part(name): parameter_count(params[name]) for name in params}
    assert parts.keys() == said('demo')['flops']['forward'].keys() - {'total'}
    assert unet_part('up_0_residual_0') == 'residual'
    assert unet_part('down_1_merge') == 'merging'
    assert unet_part('enter') == 'ends'


def test_the_gradient_keeps_less_where_more_is_computed_again():
    kept = [
        said('demo', remat=remat)['bytes']['kept_for_the_gradient']
        for remat in ('none', 'block', 'full')
    ]
    assert kept[0] > 1.5 * kept[1] > 0
    assert kept[1] >= kept[2]


def test_compiling_tells_what_the_program_holds():
    found = said('demo', compile_too=True)
    memory = found['bytes']
    state = memory['weights'] + memory['optimizer'] + memory['average']
    assert found['compiled']['argument_bytes'] > state
    assert found['compiled']['temporary_bytes'] > memory['gradients']


def test_the_discriminators_are_described_with_the_autoencoder():
    config = paper_autoencoder.get_config()
    config.batch = 1
    subject = subject_of(config, GIVEN, 2)
    assert jax.eval_shape(subject.init_params).keys() == {'autoencoder', 'discriminator'}


def test_the_command_prints_and_writes_the_same(tmp_path: pathlib.Path):
    out = tmp_path / 'demo.json'
    result = run('--config=configs/demo.py', '--batch=1', '--frames=8', f'--out={out}')
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found == json.loads(out.read_text())
    assert found['sizes']['batch'] == 1
    assert found['parameters']['total'] == said('demo')['parameters']['total']


@pytest.mark.parametrize(
    ('args', 'said'),
    [
        (('--config=configs/demo.py', '--frames=6'), '6 frames; allowed are multiples of 4'),
        (('--config=configs/demo.py', '--tracks=9'), 'model.num_tracks: 9; allowed is 1 to 8'),
        (('--config=configs/demo.py', '--config.model.dtype=half'), "model.dtype: 'half'"),
        (
            ('--config=configs/demo_autoencoder.py', '--config.hop_samples=1'),
            'hop_samples: 1; allowed is the product of model.strides, 1920',
        ),
        (('--config=configs/none.py',), 'there is no such file'),
        (('--config=configs/demo.py', '--batch=1', '--out=/no/such/folder'), '--out=/no/such'),
    ],
)
def test_bad_input_is_one_line(args, said):
    result = run(*args)
    assert result.returncode == 2
    assert result.stderr.startswith('error: ')
    assert result.stderr.count('\n') == 1
    assert said in result.stderr


def test_help_shows_an_example():
    result = run('--help')
    assert result.returncode == 0
    assert 'python -m launch.describe --config=configs/demo.py' in result.stdout
