"""Every config builds its network, its loss and its optimiser, and is of the size that it says."""

import importlib
import pathlib
import re

import flax.linen as nn
import jax
import pytest
from ml_collections import ConfigDict

from jen1composer.models.unet_config import UNetConfig
from jen1composer.training.state import initial_state, parameter_count
from jen1composer.training.workdir import unet_config
from launch.description import GivenByData, Subject, subject_of

FOLDER = pathlib.Path(__file__).parents[2] / 'configs'
NOT_TRAINED = ('__init__', 'prepare')
NAMES = sorted(path.stem for path in FOLDER.glob('*.py') if path.stem not in NOT_TRAINED)
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
