"""A whole run of its own parts: batches by Grain, a sharded state, Orbax; killed and resumed."""

import dataclasses

import jax
import numpy as np
import pytest

from data_pipeline.batches import batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order, begun
from data_pipeline.windows import Windows
from jen1composer.errors import BadInput
from jen1composer.models.unet import UNet
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.mesh import MeshShape, make_mesh
from jen1composer.sharding.rules import Rules
from jen1composer.training.checkpoint_folder import half_written
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from jen1composer.training.loop import LoopConfig
from jen1composer.training.metrics import read_metrics
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run, run_training
from tests import tiny
from tests.data_pipeline import latent_folder as small

STEPS = 5
MODEL = dataclasses.replace(tiny.UNET, latent_channels=small.CHANNELS, text_width=small.WIDTH)
CURRICULUM = Curriculum(
    num_tracks=4, stages=(Stage(steps=2, shares=(1, 0, 0, 0)), Stage(steps=3, shares=(1, 1, 1, 3)))
)


class Stopped(Exception):
    """Stands for a kill: nothing is saved on the way out."""


@pytest.fixture(scope='module')
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    latents = small.write(folder / 'latents', small.prepare(folder / 'data'))
    return Windows(latents, ['train'], 8)


def make_run(windows, *, stop_at=None, seed=0):
    order = Order(seed=seed, segments=begun(8), total_steps=STEPS)

    def host_batches(first_step):
        stream = batches(Mixture.alone(windows, seed), CURRICULUM, order, first_step=first_step)
        for number, batch in enumerate(stream, start=first_step):
            if number == stop_at:
                raise Stopped
            yield batch

    mesh = make_mesh(MeshShape(fsdp=2), jax.devices()[:2])
    layout = Layout(mesh=mesh, rules=Rules(channel='fsdp', whole_below_bytes=256))
    return Run(
        recipe=Recipe(
            init_params=lambda: tiny.init_boxed(MODEL, seed=seed),
            loss_fn=make_composer_loss(UNet(MODEL, layout), DiffusionConfig(), seed),
            optimizer=make_optimizer(
                OptimizerConfig(
                    name='muon', peak_learning_rate=1e-3, total_steps=STEPS, warmup_steps=1
                )
            ),
            ema_decay=0.9,
            layout=layout,
        ),
        batches=host_batches,
        identity={'seed': seed},
        loop=LoopConfig(total_steps=STEPS, log_every=1, evaluate_every=2, save_every_s=0.0),
    )


def assert_bit_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(left), jax.device_get(right))


def evaluate(state):
    return {'evaluated': int(state.step)}


@pytest.fixture(scope='module')
def whole(windows, tmp_path_factory):
    """The workdir and the last state of a run that was not disturbed."""
    workdir = tmp_path_factory.mktemp('whole')
    return workdir, run_training(make_run(windows), workdir, evaluate=evaluate)


def test_a_killed_run_ends_as_one_that_was_not(windows, whole, tmp_path):
    undisturbed, expected = whole
    assert int(expected.step) == STEPS
    split = [leaf for leaf in jax.tree.leaves(expected) if not leaf.is_fully_replicated]
    assert len(split) > 20  # weights, moments and averages are split for real
    with pytest.raises(Stopped):
        run_training(make_run(windows, stop_at=3), tmp_path, evaluate=evaluate)
    assert not half_written(tmp_path / 'checkpoints')  # what was begun came to its end
    resumed = run_training(make_run(windows), tmp_path, evaluate=evaluate)
    assert_bit_equal(resumed, expected)
    rows, rows_undisturbed = (
        [
            {name: row[name] for name in ('step', 'loss', 'evaluated') if name in row}
            for row in read_metrics(folder / 'metrics.jsonl')
        ]
        for folder in (tmp_path, undisturbed)
    )
    assert rows == rows_undisturbed
    assert [row['step'] for row in rows if 'evaluated' in row] == [0, 2, 4, 5]


def test_another_seed_in_the_same_folder_is_refused(windows, whole):
    with pytest.raises(BadInput, match='seed is 0 there, 1 here'):
        run_training(make_run(windows, seed=1), whole[0])
