"""Every config builds its network, its loss and its optimiser, and is of the size that it says."""

import dataclasses
import hashlib
import importlib
import pathlib
import re

import flax.linen as nn
import jax
import pytest
from ml_collections import ConfigDict

from jen1composer.models.unet_config import UNetConfig
from jen1composer.training.loop import LoopConfig
from jen1composer.training.state import initial_state, parameter_count
from jen1composer.training.workdir import unet_config
from launch.composer_sections import make_curriculum
from launch.description import GivenByData, Subject, subject_of

FOLDER = pathlib.Path(__file__).parents[2] / 'configs'
NOT_TRAINED = ('__init__', 'loop', 'prepare')
NAMES = sorted(
    path.stem
    for path in FOLDER.glob('*.py')
    if path.stem not in NOT_TRAINED and not path.stem.startswith('ablation')
)
SMALL = GivenByData(
    num_tracks=4, latent_channels=64, text_width=384, prompt_tokens=8, prefix_tokens=8
)
PAPER = GivenByData(
    num_tracks=4, latent_channels=128, text_width=1024, prompt_tokens=8, prefix_tokens=8
)


def subject(name: str) -> tuple[ConfigDict, Subject]:
    config = importlib.import_module(f'configs.{name}').get_config()
    config.batch = 1
    return config, subject_of(config, PAPER if name.startswith('paper') else SMALL, None)


def count(subject: Subject) -> int:
    return parameter_count(nn.unbox(jax.eval_shape(subject.init_params)))


def test_there_are_configs():
    assert {'demo', 'demo_autoencoder', 'paper_autoencoder', 'paper_composer'} <= set(NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_every_config_builds_its_step(name):
    _, described = subject(name)
    state = jax.eval_shape(lambda: initial_state(described.init_params, described.optimizer))
    loss, _ = jax.eval_shape(described.loss_fn, nn.unbox(state).params, described.batch, state.step)
    assert loss.shape == ()
    given = jax.eval_shape(described.forward, nn.unbox(state).params, described.batch)
    sound = described.batch['waveform'] if isinstance(described.batch, dict) else None
    assert given.shape == (described.batch.latents if sound is None else sound).shape


def test_the_composer_of_the_papers_size():
    config, described = subject('paper_composer')
    found = count(described)
    assert abs(found / 746e6 - 1) < 0.005
    said = re.search(r'prints ([\d,]+) parameters', (FOLDER / 'paper_composer.py').read_text())
    assert found == int(said[1].replace(',', ''))
    model: UNetConfig = unet_config(
        {'num_tracks': 4, 'latent_channels': 128, 'text_width': 1024} | config.model.to_dict()
    )
    assert model.context_width == 1024
    assert all(width % 128 == 0 for width in model.channels)
    assert config.data.window_frames % model.total_factor == 0
    assert sum(config.curriculum.stage_steps) == 200_000


@pytest.mark.parametrize(
    ('name', 'digest'),
    [
        ('demo', '8864a3d4827015c3049630485c65eece'),
        ('paper_composer', 'dcd8103c58e381815769ec40fc79a22f'),
    ],
)
def test_tasks_are_those_that_were_always_drawn(name, digest):
    """A change here would give every run that is resumed other tasks."""
    config = importlib.import_module(f'configs.{name}').get_config()
    curriculum = make_curriculum(config.curriculum, 4)
    steps = sum(config.curriculum.stage_steps)
    found = hashlib.sha256()
    for index in range(2000):
        task = curriculum.draw(config.seed, index, index * steps // 2000, 128)
        found.update(task.roles.astype('<i4').tobytes())
        found.update(task.visible.tobytes())
        found.update(task.causal.tobytes())
    assert found.hexdigest().startswith(digest)


@pytest.mark.parametrize(('name', 'newest'), [('demo', (1, 4)), ('paper_composer', (1, 2, 3, 4))])
def test_half_is_on_the_newest_number_of_targets_and_the_rest_on_the_earlier_ones(name, newest):
    config = importlib.import_module(f'configs.{name}').get_config()
    curriculum = make_curriculum(config.curriculum, 4)
    first_step = 0
    for stage, most in zip(curriculum.stages, newest, strict=True):
        earlier = [0.5 / (most - 1)] * (most - 1) if most > 1 else []
        expected = [*earlier, 1 - sum(earlier), *[0] * (4 - most)]
        assert curriculum.target_count_weights(first_step).tolist() == expected
        first_step += stage.steps


@pytest.mark.parametrize('name', NAMES)
def test_everything_of_a_loop_can_be_set_on_the_command_line(name):
    """But for what the run knows by itself: a composer's steps; an autoencoder makes no demos."""
    fields = {field.name for field in dataclasses.fields(LoopConfig)}
    section = set(importlib.import_module(f'configs.{name}').get_config().loop)
    assert section <= fields
    assert fields - section in ({'total_steps'}, {'demo_every'})
