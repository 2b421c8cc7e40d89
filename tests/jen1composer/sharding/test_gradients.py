"""Strategies agree: every leaf of the gradient, not the loss, against one device.

XLA can shard a convolution wrongly in a way that leaves the loss right and the gradient wrong by a
factor (see `sharding.rules`, `models.layers`). SGD, because Adam would turn a zero gradient's
rounding into a step; with momentum, because its trace after one step is the gradient itself. The
network has all that it can have, and every second example is causal.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jen1composer.models.unet import UNet
from jen1composer.sharding.mesh import make_mesh
from jen1composer.sharding.rules import batch_sharding, state_shardings, strategy
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from jen1composer.training.state import TrainState, initial_state
from jen1composer.training.step import make_train_step
from tests import tiny

CONFIG = dataclasses.replace(
    tiny.UNET,
    channels=(16, 32),
    spans=True,
    norm_groups=4,
    context_width=16,
    time_embedding='learned',
    remat='block',
)
OPTIMIZER = optax.sgd(0.05, momentum=0.9)
STEP = make_train_step(make_composer_loss(UNet(CONFIG), DiffusionConfig(), 0), OPTIMIZER, 0.9)


def boxed_state() -> TrainState:
    return initial_state(lambda: tiny.init_boxed(CONFIG), OPTIMIZER)


@functools.cache
def start() -> TrainState:
    """On one device, and with no weight at zero."""
    params = tiny.randomised(tiny.init_params(CONFIG))
    return initial_state(lambda: params, OPTIMIZER)


def three_steps(step, state, place) -> tuple[dict, dict]:
    """The gradient of the first step, and the parameters after three, as numpy by name."""
    batches = [
        tiny.mixed(tiny.make_batch(tiny.ROLES * 2, seed=s, first_index=16 * s)) for s in range(3)
    ]
    state, _ = step(state, place(batches[0]))
    gradient = by_name(state.opt_state[0].trace)
    for batch in batches[1:]:
        state, _ = step(state, place(batch))
    return gradient, by_name(state.params)


def by_name(tree) -> dict[str, np.ndarray]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


@functools.cache
def on_one_device() -> tuple[dict, dict]:
    return three_steps(jax.jit(STEP), start(), lambda batch: batch)


@functools.cache
def on_mesh(name: str, data: int, fsdp: int) -> tuple[dict, dict]:
    mesh = make_mesh(data=data, fsdp=fsdp)
    rules = dataclasses.replace(strategy(name), whole_below_bytes=0)
    shardings = state_shardings(jax.eval_shape(boxed_state), mesh, rules)
    batches = batch_sharding(mesh, rules)
    step = jax.jit(
        STEP,
        in_shardings=(shardings, batches),
        out_shardings=(shardings, NamedSharding(mesh, PartitionSpec())),
    )
    state = jax.device_put(start(), shardings)
    split = [leaf for leaf in jax.tree.leaves(state.params) if not leaf.is_fully_replicated]
    assert (len(split) >= 20) == (name == 'fsdp')
    assert all(leaf.addressable_shards[0].data.size * fsdp == leaf.size for leaf in split)
    return three_steps(step, state, lambda batch: jax.device_put(batch, batches))


MESHES = [('dp', 8, 1), ('fsdp', 2, 4), ('fsdp', 1, 8)]


def worst(found: dict, true: dict) -> float:
    """The largest of max |difference| / (1e-5 max |leaf| + 1e-7) over the leaves; 1 is allowed."""
    assert found.keys() == true.keys()
    return max(
        np.abs(found[name] - leaf).max() / (1e-5 * np.abs(leaf).max() + 1e-7)
        for name, leaf in true.items()
    )


@pytest.mark.parametrize(('name', 'data', 'fsdp'), MESHES)
def test_every_leaf_of_the_gradient_agrees(name, data, fsdp):
    gradient, _ = on_one_device()
    assert all(np.abs(leaf).max() > 1e-5 for leaf in gradient.values())  # none is dead
    assert worst(on_mesh(name, data, fsdp)[0], gradient) <= 1


@pytest.mark.parametrize(('name', 'data', 'fsdp'), MESHES)
def test_parameters_agree_after_three_steps(name, data, fsdp):
    _, params = on_one_device()
    before = by_name(start().params)
    assert all((params[leaf] != before[leaf]).any() for leaf in params)
    assert worst(on_mesh(name, data, fsdp)[1], params) <= 1


def test_the_measure_sees_one_wrong_leaf():
    gradient, _ = on_one_device()
    name = next(name for name in gradient if 'conv_in' in name and 'kernel' in name)
    assert worst(gradient | {name: 2 * gradient[name]}, gradient) > 1000
    assert nn.unbox(jax.eval_shape(boxed_state)).params.keys() == start().params.keys()
