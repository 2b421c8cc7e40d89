"""The least that must be sent: by hand for a few blocks, by law for a UNet, and as XLA has it."""

import collections
import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jen1composer.models.attention import FeedForward
from jen1composer.models.layers import Placement
from jen1composer.models.unet import UNet
from jen1composer.sharding.collectives import read_collectives, traffic
from jen1composer.sharding.ideal import Notebook, ideal_bytes
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.mesh import MeshShape, make_mesh
from jen1composer.sharding.strategies import STRATEGIES
from tests import tiny

WIDTH, FRAMES, BATCH = 16, 12, 16
STREAM = BATCH * FRAMES * WIDTH * 4  # bytes of the features of all examples


def layout_of(name: str, mesh: str) -> Layout:
    rules = dataclasses.replace(STRATEGIES[name].rules, whole_below_bytes=0)
    return Layout(mesh=make_mesh(MeshShape.parse(mesh)), rules=rules)


class Blocks(nn.Module):
    """Feed-forward blocks in a row."""

    place: Placement
    count: int = 3

    @nn.compact
    def __call__(self, x):
        for _ in range(self.count):
            x = FeedForward(4, place=self.place)(x)
        return x


def ideal_of_blocks(layout: Layout, **given) -> dict[str, float]:
    notebook, x = Notebook(), jax.ShapeDtypeStruct((BATCH, FRAMES, WIDTH), jnp.float32)
    net = Blocks(notebook)
    params = nn.unbox(jax.eval_shape(net.init, jax.random.key(0), x))
    notebook = Notebook()
    return ideal_bytes(
        Blocks(notebook).apply,
        (params, x),
        notebook,
        layout=layout,
        num_parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
        **given,
    )


KERNELS = 3 * 2 * WIDTH * 4 * WIDTH * 4  # bytes
OTHERS = 3 * (WIDTH + 4 * WIDTH + WIDTH) * 4  # of a norm and two biases


@pytest.mark.parametrize(
    ('name', 'mesh', 'expected'),
    [
        ('dp', 'data=8', {'all-reduce': 2 * 7 / 8 * (KERNELS + OTHERS)}),
        (
            'fsdp',
            'fsdp=8',
            {
                'all-gather': 2 * 7 / 8 * KERNELS,
                'reduce-scatter': 7 / 8 * KERNELS,
                'all-reduce': 2 * 7 / 8 * OTHERS,
            },
        ),
        (
            'hybrid',
            'data=2,fsdp=4',
            {
                'all-gather': 2 * 3 / 4 * KERNELS,
                'reduce-scatter': 3 / 4 * KERNELS,
                'all-reduce': 2 * 1 / 2 * KERNELS / 4 + 2 * 7 / 8 * OTHERS,
            },
        ),
        (
            'tp',
            'data=2,tensor=4',
            {
                'all-reduce': 2 * 1 / 2 * (KERNELS / 4 + OTHERS) + 3 * 2 * (2 * 3 / 4 * STREAM / 2),
            },
        ),
        (
            'fsdp_tp',
            'fsdp=4,tensor=2',
            {
                'all-gather': 2 * 3 / 4 * KERNELS / 2,
                'reduce-scatter': 3 / 4 * KERNELS / 2,
                'all-reduce': 2 * 3 / 4 * OTHERS + 3 * 2 * (2 * 1 / 2 * STREAM / 4),
            },
        ),
        ('sp', 'data=4,sequence=2', {'all-reduce': 2 * 7 / 8 * (KERNELS + OTHERS)}),
    ],
)
def test_the_equations_by_hand(name, mesh, expected):
    assert ideal_of_blocks(layout_of(name, mesh)) == pytest.approx(expected)


def test_parts_of_a_batch_gather_weights_again_and_nothing_else():
    layout = layout_of('hybrid', 'data=2,fsdp=4')
    once, thrice = ideal_of_blocks(layout), ideal_of_blocks(layout, accumulate=3)
    assert thrice == pytest.approx(once | {'all-gather': 3 * once['all-gather']})


def test_what_does_not_divide_stays_whole_and_is_not_added_up():
    whole = ideal_of_blocks(layout_of('dp', 'data=1,tensor=8'))
    assert whole == {}
    seven = jax.devices()[:7]
    rules = STRATEGIES['tp'].rules
    layout = Layout(mesh=make_mesh(MeshShape(tensor=7), seven), rules=rules)
    assert ideal_of_blocks(layout) == {}  # 64 inner channels


@functools.cache
def ideal_of_unet(name: str, mesh: str, remat: str = 'none') -> dict[str, float]:
    config, batch, notebook = (
        dataclasses.replace(tiny.UNET, remat=remat),
        tiny.make_batch(),
        Notebook(),
    )
    params = nn.unbox(jax.eval_shape(lambda: tiny.init_boxed(config)))
    times = jnp.ones(batch.task.roles.shape)

    def forward(params, x):
        net = UNet(config, notebook)
        return net.apply({'params': params}, x, times, x, batch.task, batch.text)

    return ideal_bytes(
        forward,
        (params, batch.latents),
        notebook,
        layout=layout_of(name, mesh),
        num_parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
    )


MESHES = {
    'dp': 'data=8',
    'fsdp': 'fsdp=8',
    'tp': 'data=2,tensor=4',
    'fsdp_tp': 'fsdp=2,tensor=4',
    'hybrid': 'data=2,fsdp=4',
    'sp': 'data=4,sequence=2',
}


@pytest.mark.parametrize('name', MESHES)
def test_what_is_computed_again_changes_nothing_of_the_least(name):
    mesh = MESHES[name]
    assert ideal_of_unet(name, mesh, 'full') == pytest.approx(ideal_of_unet(name, mesh))


def test_fsdp_moves_half_as_much_again_as_dp():
    """Gathered twice and scattered once, where dp scatters and gathers: 3 to 2, weights alone."""
    dp, fsdp = ideal_of_unet('dp', 'data=8'), ideal_of_unet('fsdp', 'fsdp=8')
    split = fsdp['reduce-scatter'] / (7 / 8)  # bytes of the weights that are split
    assert fsdp['all-gather'] == pytest.approx(2 * fsdp['reduce-scatter'])
    assert dp['all-reduce'] - fsdp['all-reduce'] == pytest.approx(2 * 7 / 8 * split)


@pytest.mark.parametrize(
    ('name', 'gathered', 'scattered'),
    [
        ('dp', 1, 1),
        # So few weights are kept gathered; and CPUs make an all-reduce of a reduce-scatter.
        ('fsdp', 1 / 2, 2),
        ('tp', 1, 1),
    ],
)
def test_a_compiler_sends_what_is_needed(name, gathered, scattered):
    layout = layout_of(name, MESHES[name])
    x = jax.ShapeDtypeStruct((BATCH, FRAMES, WIDTH), jnp.float32, sharding=layout.batch)
    net = Blocks(layout)
    boxed = jax.eval_shape(net.init, jax.random.key(0), x)
    places = layout.state(boxed)
    params = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        nn.unbox(boxed),
        places,
    )

    def loss(params, x):
        return jnp.sum(jnp.square(net.apply(params, x)))

    program = jax.jit(jax.grad(loss), out_shardings=places).lower(params, x).compile()
    found = traffic(read_collectives(program.as_text(), layout.mesh.shape))
    least = collections.Counter(ideal_of_blocks(layout))
    assert sum(row.bytes_sent for row in found) == pytest.approx(
        gathered * least['all-gather'] + scattered * least['reduce-scatter'] + least['all-reduce']
    )
