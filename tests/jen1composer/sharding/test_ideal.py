"""The closed form against sums by hand, and against what a compiled step of DP sends."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jen1composer.models.unet import UNet
from jen1composer.sharding.collectives import read_collectives
from jen1composer.sharding.ideal import Notebook, ideal_bytes
from jen1composer.sharding.layout import Layout
from jen1composer.training.state import PyTree, parameter_count
from tests import tiny
from tests.jen1composer.sharding import equality, traffic_recording

BATCH, FRAMES = 32, 16
CHANNELS = equality.UNET.channels
BLOCKS = equality.UNET.blocks


def params() -> PyTree:
    return nn.unbox(jax.eval_shape(lambda: tiny.init_boxed(equality.UNET)))


def ideal(layout: Layout, accumulate: int = 1) -> dict[str, float]:
    notebook = Notebook()
    model = UNet(equality.UNET, notebook)
    batch = tiny.make_batch(tiny.ROLES * (BATCH // len(tiny.ROLES)), num_frames=FRAMES)

    def forward(params: PyTree) -> jax.Array:
        times = jnp.ones(batch.task.roles.shape)
        x = batch.latents
        return model.apply({'params': params}, x, times, x, batch.task, batch.text)

    return ideal_bytes(
        forward,
        (params(),),
        notebook,
        layout=layout,
        num_parameters=parameter_count(params()),
        accumulate=accumulate,
    )


def layout(name: str, mesh: str) -> Layout:
    return equality.layout_of(equality.Cell('composer', name, mesh))


def test_dp_adds_up_one_gradient():
    gradient = 4 * parameter_count(params())
    assert ideal(layout('dp', 'data=8')) == {'all-reduce': pytest.approx(2 * 7 / 8 * gradient)}
    assert ideal(layout('dp', 'data=8'), accumulate=4) == ideal(layout('dp', 'data=8'))


def test_a_compiled_step_of_dp_sends_that_and_a_few_numbers():
    cell = traffic_recording.cell('dp')
    text = equality.trained(cell).hlo
    found = read_collectives(text, equality.layout_of(cell).mesh.shape)
    sent = sum(one.times * one.sent_once for one in found)
    needed = ideal(equality.layout_of(cell))['all-reduce']
    assert {one.kind for one in found} == {'all-reduce'}
    assert needed <= sent <= needed + 1000


@pytest.mark.parametrize('mesh', ['fsdp=8', 'data=2,fsdp=4'])
def test_fsdp_gathers_twice_what_it_scatters_and_adds_up_the_rest(mesh):
    place = layout('fsdp', mesh)
    found, n = ideal(place), place.mesh.shape['fsdp']
    assert found['all-gather'] == pytest.approx(2 * found['reduce-scatter'])
    # Weights are gathered for each part of a batch, and their gradient is sent once.
    parts = ideal(place, accumulate=4)
    assert parts == pytest.approx(found | {'all-gather': 4 * found['all-gather']})
    # A reduce-scatter and an all-gather of each gradient are the all-reduce of DP.
    split = found['reduce-scatter'] * n / (n - 1)
    whole = 4 * parameter_count(params()) - split
    rest = 2 * 7 / 8 * whole + 2 * (8 / n - 1) / (8 / n) * split / n
    assert found['all-reduce'] == pytest.approx(rest)


def test_tp_adds_up_features_of_each_block_forward_and_backward():
    """As said in the docstring's (4), with the blocks of the tiny network counted by hand."""
    place = layout('tp', 'data=2,tensor=4')
    outer, inner = BATCH * FRAMES * CHANNELS[0] * 4, BATCH * FRAMES // 2 * CHANNELS[1] * 4
    # A residual block on either side of the outer level; one with a transformer in the inner one.
    features = 2 * BLOCKS[0] * outer + BLOCKS[1] * (1 + 3 * equality.UNET.attentions[1]) * inner
    expected = 2 * 2 * 3 / 4 * features / 2
    everything = ideal(place)['all-reduce']
    gradients = 2 * 1 / 2 * sum(jax.tree.leaves(bytes_a_device(place)))
    assert everything == pytest.approx(expected + gradients)


def bytes_a_device(place: Layout) -> PyTree:
    """Bytes of a device's part of each weight."""
    boxed = jax.eval_shape(lambda: tiny.init_boxed(equality.UNET))
    return jax.tree.map(
        lambda leaf, where: 4 * math.prod(where.shard_shape(leaf.shape)),
        nn.unbox(boxed),
        place.state(boxed),
    )


def test_sp_sends_halos_keys_and_values():
    found = ideal(layout('sp', 'data=4,sequence=2'))
    rows = BATCH // 4
    # Convolutions of width 3 see two frames of others: in, two a residual block, out.
    channels = {'outer': CHANNELS[0], 'inner': CHANNELS[1]}
    assert set(found) == {'all-reduce', 'collective-permute', 'all-gather', 'reduce-scatter'}
    attended = 2 * rows * FRAMES // 2 * channels['inner'] * 4 * equality.UNET.attentions[1]
    assert found['all-gather'] == pytest.approx(2 * 1 / 2 * attended)
    assert found['reduce-scatter'] == pytest.approx(1 / 2 * attended)
    of_blocks = 2 * 2 * channels['outer'] + 2 * channels['inner']
    assert found['collective-permute'] > 2 * 2 * rows * 4 * of_blocks


@pytest.mark.parametrize(
    ('width', 'stride', 'dilation', 'frames'),
    [(3, 1, 1, 2), (5, 1, 2, 8), (5, 2, 1, 3), (4, 4, 1, 0), (3, 4, 1, 0)],
)
def test_a_convolution_sees_the_frames_of_others_that_its_stride_leaves(
    width, stride, dilation, frames
):
    """Beside the closed form, what a compiled one is sent: of frames on either side."""
    place = layout('sp', 'data=4,sequence=2')
    x = jax.ShapeDtypeStruct((BATCH, FRAMES, 3, 6), jnp.float32)  # also over a third axis

    def convolved(x: jax.Array) -> jax.Array:
        x = place.features(x, ('batch', 'frame', None, None))
        reach = (width - 1) * dilation
        before = max(0, reach + 1 - stride) // 2
        y = jax.lax.conv_general_dilated(
            x,
            jnp.ones((width, 1, 6, 1)),
            window_strides=(stride, 1),
            padding=[(before, max(0, reach + 1 - stride) - before), (0, 0)],
            rhs_dilation=(dilation, 1),
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )
        return place.features(y, ('batch', 'frame', None, None))

    expected = frames * BATCH // 4 * 3 * 6 * 4
    found = ideal_bytes(convolved, (x,), Notebook(), layout=place, num_parameters=0)
    assert found.get('collective-permute', 0) == 2 * expected  # forward and backward
    text = jax.jit(convolved).lower(x).compile().as_text()
    sent = read_collectives(text, place.mesh.shape)
    assert sum(one.times * one.sent_once for one in sent) == expected
