"""A run that begins with saved weights: what is taken, where it lies, and what is refused."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.mesh import MeshShape, make_mesh
from jen1composer.sharding.rules import Rules
from jen1composer.training.checkpoints import restore_ema
from jen1composer.training.loop import LoopConfig
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run, run_training
from jen1composer.training.warm_start import (
    Fate,
    Weight,
    compare,
    require_all_taken,
    summary,
    warm_start,
)

SAVED = {
    'layer': {'kernel': np.full((4, 8), 2.0), 'bias': np.full(3, 2.0)},
    'gone': {'scale': np.ones(2)},
}
TABLE = [
    Weight('gone/scale', Fate.UNEXPECTED, None, (2,)),
    Weight('layer/bias', Fate.OTHER_SHAPE, (8,), (3,)),
    Weight('layer/kernel', Fate.TAKEN, (4, 8), (4, 8)),
    Weight('new/bias', Fate.MISSING, (8,), None),
]


def boxed():
    kernel = nn.LogicallyPartitioned(jnp.ones((4, 8)), ('channel', None))
    return {'layer': {'kernel': kernel, 'bias': jnp.ones(8)}, 'new': {'bias': jnp.ones(8)}}


def test_what_fits_is_taken_and_the_rest_stays_as_it_was():
    params, table = warm_start(nn.unbox(boxed()), SAVED)
    assert table == TABLE == compare(jax.eval_shape(boxed), SAVED)
    np.testing.assert_array_equal(params['layer']['kernel'], 2)
    assert params['layer']['kernel'].dtype == jnp.float32
    for untouched in (params['layer']['bias'], params['new']['bias']):
        np.testing.assert_array_equal(untouched, jnp.ones(8))


def test_weights_of_the_same_network_are_taken_to_the_bit():
    saved = jax.tree.map(lambda leaf: np.random.default_rng(0).normal(size=leaf.shape), SAVED)
    saved = jax.tree.map(np.float32, saved)
    params, table = warm_start(jax.tree.map(jnp.zeros_like, saved), saved)
    jax.tree.map(np.testing.assert_array_equal, params, saved)
    require_all_taken('folder', table)
    assert summary(table) == 'weights: 3 taken'


def test_what_does_not_fit_is_refused_by_the_first_name():
    said = (
        r'^folder: weights: 1 taken, 1 missing, 1 unexpected, 1 other shape; the first is '
        r'gone/scale, \[2\] there, absent here; allowed with --config.init_partial$'
    )
    with pytest.raises(BadInput, match=said):
        require_all_taken('folder', TABLE)


def make_run(total_steps, saved=None, seed=0):
    layout = Layout(
        mesh=make_mesh(MeshShape(fsdp=2), jax.devices()[:2]),
        rules=Rules(channel='fsdp', whole_below_bytes=0),
    )

    def init_params():
        kernel = jax.random.normal(jax.random.key(seed), (4, 8))
        return {'kernel': nn.LogicallyPartitioned(kernel, ('channel', None))}

    def batches(first_step):
        for step in range(first_step, total_steps):
            yield np.random.default_rng(step).normal(size=(2, 4)).astype(np.float32)

    return Run(
        recipe=Recipe(
            init_params=init_params,
            loss_fn=lambda params, x, step: (jnp.mean(jnp.square(x @ params['kernel'])), {}),
            optimizer=make_optimizer(OptimizerConfig(peak_learning_rate=0.1, total_steps=9)),
            ema_decay=0.9,
            layout=layout,
        ),
        batches=batches,
        identity={},
        loop=LoopConfig(total_steps=total_steps, save_every_s=0.0),
        saved=saved,
    )


def test_a_run_begins_with_them_where_they_live_and_goes_on_without_them(tmp_path):
    run_training(make_run(2), tmp_path / 'first')
    saved, _ = restore_ema(tmp_path / 'first' / 'checkpoints')
    begun_with = []

    def evaluate(state):
        begun_with.append(jax.device_get((state.params, state.ema)))
        assert not state.params['kernel'].is_fully_replicated
        return {}

    run = make_run(3, saved, seed=1)
    ended = run_training(run, tmp_path / 'second', evaluate=evaluate)
    jax.tree.map(np.testing.assert_array_equal, begun_with[0], (saved, saved))
    assert int(ended.step) == 3

    # Stopped after a step and gone on with, it ends alike, though the weights are gone.
    run_training(
        dataclasses.replace(run, loop=LoopConfig(total_steps=1, save_every_s=0.0)),
        tmp_path / 'third',
    )
    resumed = run_training(make_run(3, seed=1), tmp_path / 'third')
    for left, right in zip(jax.tree.leaves(resumed), jax.tree.leaves(ended), strict=True):
        np.testing.assert_array_equal(left, right)
