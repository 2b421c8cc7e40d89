"""A layout: what is split over what, what stays whole, and what is refused."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from jen1composer.sharding.layout import Layout, check_batch, host_share
from jen1composer.sharding.mesh import MeshShape, make_mesh
from jen1composer.sharding.rules import Rules
from jen1composer.sharding.strategies import strategy
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.state import initial_state
from tests import tiny

ALL = Rules(channel='fsdp', inner='tensor', heads='tensor', whole_below_bytes=0)


def layout(mesh: str = 'data=2,fsdp=2,tensor=2', rules: Rules = ALL) -> Layout:
    return Layout(mesh=make_mesh(MeshShape.parse(mesh)), rules=rules)


@pytest.mark.parametrize(
    ('axes', 'shape', 'spec'),
    [
        ((None, 'channel', 'inner'), (3, 8, 6), P(None, 'fsdp', 'tensor')),
        (('heads', 'channel'), (8, 8), P('tensor', 'fsdp')),
        (('channel', 'inner'), (5, 8), P(None, 'tensor')),  # two do not divide five
        (('norm',), (8,), P(None)),
    ],
)
def test_a_weight_is_stored_along_the_axes_that_the_mesh_divides(axes, shape, spec):
    assert layout().stored(axes, shape) == spec


def test_small_weights_stay_whole():
    large = layout(rules=dataclasses.replace(ALL, whole_below_bytes=4 * 64))
    assert large.stored(('channel', 'inner'), (8, 7)) == P()
    assert large.stored(('channel', 'inner'), (8, 8)) == P('fsdp', 'tensor')


def test_a_weight_is_used_whole_along_channel_and_cast_before_it_is_gathered():
    place = layout()

    @jax.jit
    def use(x):
        return place.weight(x.astype(jnp.bfloat16), ('channel', 'inner'))

    stored = jax.sharding.NamedSharding(place.mesh, place.stored(('channel', 'inner'), (8, 8)))
    x = jax.device_put(np.arange(64, dtype=np.float32).reshape(8, 8), stored)
    used = use(x)
    assert used.sharding.spec == P(None, 'tensor')
    np.testing.assert_array_equal(used, x)
    gathers = [
        line for line in use.lower(x).compile().as_text().splitlines() if 'all-gather(' in line
    ]
    assert len(gathers) == 1
    # The CPU has no bfloat16 collectives and widens the shard again.
    assert 'bf16[8,4]' in gathers[0] or 'f32[8,4]' in gathers[0]


def test_features_are_split_along_batch_frames_and_what_is_inner():
    x = np.zeros((4, 6, 8), np.float32)
    place = layout()
    split = jax.jit(lambda x: place.features(x, ('batch', 'frame', 'inner')))(x)
    assert split.sharding.spec == P(('data', 'fsdp'), None, 'tensor')
    frames = layout('data=2,fsdp=2,sequence=2', strategy('sp').rules)
    split = jax.jit(lambda x: frames.features(x, ('batch', 'frame', None)))(x)
    assert split.sharding.spec == P(('data', 'fsdp'), 'sequence')


def test_axes_that_are_not_those_of_the_array_are_a_bug():
    with pytest.raises(ValueError, match='2 logical axes'):
        layout().features(np.zeros((4, 6, 8)), ('batch', 'inner'))


@pytest.mark.parametrize(
    ('mesh', 'axis'),
    [('data=2,tensor=2,sequence=2', 'tensor=2'), ('tensor=4,sequence=2', 'tensor=4')],
)
def test_frames_beside_an_axis_that_splits_no_batch_are_refused_with_the_reason(mesh, axis):
    for rules in (strategy('sp').rules, dataclasses.replace(ALL, frame='sequence')):
        with pytest.raises(
            ValueError, match=f'{axis} beside sequence=2; .* wrong weight gradients'
        ):
            layout(mesh, rules)


def test_moments_and_averages_lie_where_their_weight_does():
    optimizer = make_optimizer(OptimizerConfig(peak_learning_rate=1e-3, total_steps=10))
    shapes = jax.eval_shape(lambda: initial_state(lambda: tiny.init_boxed(tiny.UNET), optimizer))
    shardings = layout().state(shapes)
    assert jax.tree.structure(shardings) == jax.tree.structure(nn.unbox(shapes))
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
            assert leaf.spec == P(), name
    assert followers == 3 * len(weights)  # two moments and the average


def boxed(**weights):
    return {
        name: nn.LogicallyPartitioned(jax.ShapeDtypeStruct(shape, jnp.float32), names=axes)
        for name, (axes, shape) in weights.items()
    }


def test_large_weights_left_whole_are_listed_largest_first_and_refused_above_a_share():
    split = (('channel', None), (600, 512))
    odd, odder = (('channel', None), (255, 512)), (('channel', None), (257, 512))
    small = (('channel', None), (5, 5))
    rules = Rules(channel='fsdp', most_whole=0.5)
    weights = boxed(split=split, odd=odd, odder=odder, small=small)
    found = layout('fsdp=8', rules).left_whole(weights)
    assert [(whole.name, whole.num_bytes) for whole in found] == [
        ('odder', 257 * 512 * 4),
        ('odd', 255 * 512 * 4),
    ]
    strict = dataclasses.replace(rules, most_whole=0.4)
    with pytest.raises(
        ValueError, match=r'46% of the weights stay whole .* odder of 0.5 MiB; .* 40%'
    ):
        layout('fsdp=8', strict).left_whole(weights)
    assert layout('data=8', strict).left_whole(weights) == []  # nothing was to be split


def test_a_batch_that_cannot_be_split_is_refused():
    place = layout('data=2,fsdp=2,tensor=2')
    check_batch(8, place)
    check_batch(8, place, accumulate=2)
    with pytest.raises(ValueError, match='batch: 6; allowed are multiples of 4'):
        check_batch(6, place)
    with pytest.raises(ValueError, match=r'batch: 12; .* multiples of 8, .* in 2 parts each'):
        check_batch(12, place, accumulate=2)


@pytest.mark.parametrize('mesh', ['data=8', 'data=2,tensor=4', 'tensor=8'])
def test_one_host_feeds_the_whole_batch(mesh):
    assert host_share(layout(mesh), 16) == (0, 1)


@pytest.mark.parametrize('mesh', ['data=8', 'data=4,tensor=2', 'data=2,fsdp=2,tensor=2'])
def test_work_is_split_over_every_device(mesh):
    assert layout(mesh).work_parts == 8


def test_an_axis_that_splits_weights_alone_or_nothing_is_refused():
    weights = Rules(batch='data', channel='fsdp')
    for rules, mesh, allowed in [(weights, 'fsdp=8', 'data'), (Rules(), 'tensor=8', 'data, fsdp')]:
        with pytest.raises(ValueError, match=rf'=8 splits nothing .* sizes of {allowed}$'):
            layout(mesh, rules)
