"""Strategies: what is split, what stays whole, and where the rest of the state lies."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec

from jen1composer.sharding.mesh import make_mesh
from jen1composer.sharding.rules import Rules, batch_sharding, state_shardings, strategy
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.state import initial_state
from tests import tiny

FSDP = dataclasses.replace(strategy('fsdp'), whole_below_bytes=0)


def boxed(**weights) -> dict:
    """`name=(logical axes, shape)` as a tree of boxed shapes."""
    return {
        name: nn.LogicallyPartitioned(jax.ShapeDtypeStruct(shape, jnp.float32), axes)
        for name, (axes, shape) in weights.items()
    }


def spec(axes, shape, rules: Rules = FSDP, **mesh) -> PartitionSpec:
    mesh = make_mesh(**mesh or {'data': 2, 'fsdp': 4})
    return state_shardings(boxed(weight=(axes, shape)), mesh, rules)['weight'].spec


def test_weights_are_split_by_their_input_channels():
    assert spec((None, 'conv_in', 'conv_out'), (3, 8, 6)) == PartitionSpec(None, 'fsdp', None)
    assert spec(('heads', 'conv_in'), (8, 8)) == PartitionSpec('fsdp', None)
    assert spec(('norm',), (8,)) == PartitionSpec(None)


def test_what_the_mesh_does_not_divide_stays_whole():
    assert spec(('conv_in', 'conv_out'), (6, 8)) == PartitionSpec(None, None)


def test_one_mesh_axis_splits_one_axis_and_the_next_name_takes_it_if_the_first_cannot():
    assert spec(('conv_in', 'heads'), (8, 8)) == PartitionSpec('fsdp', None)
    assert spec(('conv_in', 'heads'), (6, 8)) == PartitionSpec(None, 'fsdp')


def test_small_weights_stay_whole():
    rules = dataclasses.replace(FSDP, whole_below_bytes=4 * 64)
    assert spec(('conv_in', 'conv_out'), (8, 7), rules) == PartitionSpec()
    assert spec(('conv_in', 'conv_out'), (8, 8), rules) == PartitionSpec('fsdp', None)


def test_dp_splits_no_weight_and_both_split_the_batch_over_all_devices():
    dp = dataclasses.replace(strategy('dp'), whole_below_bytes=0)
    assert spec(('conv_in', 'conv_out'), (8, 8), dp) == PartitionSpec(None, None)
    mesh = make_mesh(data=2, fsdp=4)
    for name in ('dp', 'fsdp'):
        batch = jax.device_put(tiny.make_batch(), batch_sharding(mesh, strategy(name)))
        for leaf in jax.tree.leaves(batch):
            assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {1}


def test_an_unknown_strategy_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="strategy: 'tp'; allowed are dp, fsdp"):
        strategy('tp')


def test_moments_and_averages_lie_where_their_weight_does():
    optimizer = make_optimizer(OptimizerConfig(peak_learning_rate=1e-3, total_steps=10))
    shapes = jax.eval_shape(lambda: initial_state(lambda: tiny.init_boxed(tiny.UNET), optimizer))
    shardings = state_shardings(shapes, make_mesh(data=2, fsdp=4), FSDP)
    state = nn.unbox(shapes)
    assert jax.tree.structure(shardings) == jax.tree.structure(state)
    weights = {  # a moment has the path of its weight at the end of its own
        jax.tree_util.keystr(path): leaf.spec
        for path, leaf in jax.tree_util.tree_leaves_with_path(shardings.params)
    }
    followers = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path((shardings.opt_state, shardings.ema)):
        name = jax.tree_util.keystr(path)
        owner = [weight for weight in weights if name.endswith(weight)]
        if owner:
            followers += 1
            assert leaf.spec == weights[max(owner, key=len)], name
        else:
            assert leaf.spec == PartitionSpec(), name
    assert followers == 3 * len(weights)  # two moments and the average
    split = [leaf for leaf in jax.tree.leaves(shardings.params) if 'fsdp' in leaf.spec]
    total = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    whole = sum(
        leaf.size
        for leaf, place in zip(
            jax.tree.leaves(state.params), jax.tree.leaves(shardings.params), strict=True
        )
        if 'fsdp' not in place.spec
    )
    assert len(split) >= 20
    assert whole < 0.2 * total
