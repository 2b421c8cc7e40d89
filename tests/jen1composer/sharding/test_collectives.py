"""Collectives: read in every form, and counted as what real programs are known to send."""

import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jen1composer.sharding.collectives import read_collectives, sent, shape_bytes, traffic
from jen1composer.sharding.mesh import MeshShape, make_mesh

MESH = {'data': 2, 'fsdp': 4}
IN_ROWS = 'replica_groups={{0,1,2,3},{4,5,6,7}}'


def program(*lines: str, computation: str = '') -> str:
    body = '\n'.join(f'  {line}' for line in lines)
    return f'HloModule m\n\n{computation}\nENTRY %main (p: f32[4]) -> f32[4] {{\n{body}\n}}\n'


def only(text: str, **given):
    (found,) = read_collectives(text, MESH, **given)
    return found


@pytest.mark.parametrize(
    ('text', 'num_bytes'),
    [
        ('f32[2,3]{1,0}', 24),
        ('bf16[8,128]{1,0:T(8,128)(2,1)S(1)}', 2048),
        ('(f32[4]{0}, /*index=1*/bf16[3]{0}, pred[5]{0})', 16 + 6 + 5),
        ('f32[]{:T(128)}', 4),
        ('(f8e4m3fn[16]{0}, s4[4]{0}, c64[2]{0})', 16 + 2 + 16),
        ('(token[], f32[1]{0})', 4),
    ],
)
def test_bytes_of_a_type(text, num_bytes):
    assert shape_bytes(text) == num_bytes


@pytest.mark.parametrize(
    ('line', 'kind', 'sent_once'),
    [
        (f'%a = f32[64]{{0}} all-gather(%p), {IN_ROWS}, dimensions={{0}}', 'all-gather', 192),
        (
            f'%a = (f32[16]{{0}}, f32[64]{{0:T(64)}}) all-gather-start(%p), {IN_ROWS}',
            'all-gather',
            192,
        ),
        (
            f'%a = ((f32[4]{{0}}, f32[2]{{0}}), (f32[16]{{0}}, f32[8]{{0}})) '
            f'all-gather-start(%p, %q), {IN_ROWS}',
            'all-gather',
            72,
        ),
        (f'%a = f32[16]{{0}} reduce-scatter(%p), {IN_ROWS}', 'reduce-scatter', 192),
        (f'%a = f32[64]{{0}} all-reduce(%p), {IN_ROWS}', 'all-reduce', 384),
        (f'ROOT %a = f32[64]{{0}} all-reduce-start(%p), {IN_ROWS}', 'all-reduce', 384),
        (
            f'%a = (f32[32]{{0}}, /*index=1*/f32[32]{{0}}) all-reduce(%p, %q), {IN_ROWS}',
            'all-reduce',
            384,
        ),
        (f'%a = bf16[64]{{0}} all-to-all(%p), {IN_ROWS}, dimensions={{0}}', 'all-to-all', 96),
    ],
)
def test_every_form_counts_as_its_equation(line, kind, sent_once):
    found = only(program(line))
    assert (found.kind, found.sent_once) == (kind, sent_once)
    assert (found.group, found.axes, found.times, found.at_least) == (4, ('fsdp',), 1, False)


def test_a_permutation_sends_what_it_holds():
    line = (
        '%a = (f32[16]{0}, f32[16]{0}, u32[]{:S(2)}, u32[]{:S(2)}) collective-permute-start(%p), '
        'source_target_pairs={{0,4},{4,0}}'
    )
    found = only(program(line))
    assert (found.kind, found.sent_once, found.axes) == ('collective-permute', 64, ('data',))


def test_what_sends_nothing_is_left_out():
    lines = (
        '%a = f32[64]{0} all-reduce(%p), replica_groups={{0},{1},{2},{3},{4},{5},{6},{7}}',
        '%b = f32[16]{0} collective-permute(%p), source_target_pairs={{0,0},{1,1}}',
        '%c = f32[64]{0} all-gather-done(%p)',
        '%d = f32[64]{0} add(%all-reduce.1, %p), metadata={op_name="all-reduce"}',
    )
    assert read_collectives(program(*lines), MESH) == []


def test_a_reduce_scatter_that_tpus_fuse_is_one():
    fused = f"""%all-reduce-scatter.1 (input: f32[64]) -> f32[16] {{
  %input = f32[64]{{0}} parameter(0)
  %all-reduce.1 = f32[64]{{0}} all-reduce(%input), {IN_ROWS}
}}
"""
    call = '%f = f32[16]{0} fusion(%p), kind=kCustom, calls=%all-reduce-scatter.1'
    found = only(program(call, computation=fused))
    assert (found.kind, found.sent_once) == ('reduce-scatter', 192)


def test_a_gather_spread_over_fusions_is_counted_where_it_starts():
    config = '"async_collective_fusion_config":{"flag_start":"2"}'
    gather = f'%a = f32[64]{{0}} all-gather(%p), {IN_ROWS}, backend_config={{{config}}}'
    parts = ''.join(
        f'%part.{k} (p: f32[16]) -> f32[64] {{\n  {gather}\n'
        f'  %c = f32[64]{{0}} custom-call(%a), custom_call_target="{target}"\n}}\n'
        for k, target in enumerate(('AsyncCollectiveStart', 'Product', 'AsyncCollectiveDone'))
    )
    calls = [f'%f.{k} = f32[64]{{0}} fusion(%p), calls=%part.{k}' for k in range(3)]
    assert only(program(*calls, computation=parts)).times == 1


def test_between_slices_hosts_send():
    send = (
        '%send.1 = (bf16[64,8]{1,0}, u32[], token[]) send(%p, %t), channel_id=2, '
        'is_host_transfer=true, frontend_attributes={_xla_megascale_target="{1,2}x{0:15}",'
        '_xla_megascale_transfer_type="ALL_REDUCE"}'
    )
    inside = '%a = f32[64]{0} all-reduce(%p), replica_groups={{0,1,2,3}}'
    across, within = read_collectives(program(send, inside), MESH, num_slices=2)
    assert (across.kind, across.sent_once, across.axes) == ('all-reduce', 1024, ('data',))
    assert across.between_slices
    assert not within.between_slices
    assert (within.sent_once, within.axes) == (384, ('fsdp',))


def test_a_loop_of_unknown_length_is_a_least():
    body = f"""%body (b: (s32[])) -> (s32[]) {{
  %a = f32[64]{{0}} all-reduce(%p), {IN_ROWS}
}}

%condition (c: (s32[])) -> pred[] {{
  ROOT %x = pred[] and(%c, %c)
}}
"""
    loop = '%w = (s32[]) while(%p), condition=%condition, body=%body'
    found = only(program(loop, computation=body))
    assert found.at_least
    (row,) = traffic([found, found])
    assert (row.count, row.bytes_sent, row.at_least) == (2, 768, True)


# ---- Real programs on eight devices, whose traffic is known.


@functools.cache
def mesh(shape: str):
    return make_mesh(MeshShape.parse(shape))


def compiled(function, mesh, specs, *shapes):
    """The traffic of `function`, its arguments placed by `specs`."""
    places = [NamedSharding(mesh, spec) for spec in specs]
    arguments = [
        jax.ShapeDtypeStruct(shape, jnp.float32, sharding=place)
        for shape, place in zip(shapes, places, strict=True)
    ]
    text = jax.jit(function).lower(*arguments).compile().as_text()
    return traffic(read_collectives(text, mesh.shape))


def squares(w, x):
    return jnp.sum(jnp.square(x @ w))


@pytest.mark.parametrize(
    ('shape', 'axes'), [('data=8', ('data',)), ('data=2,fsdp=4', ('data', 'fsdp'))]
)
def test_data_parallel_gradients_are_reduced_once(shape, axes):
    batch = P(('data', 'fsdp'))
    found = compiled(jax.grad(squares), mesh(shape), (P(), batch), (64, 32), (16, 64))
    (row,) = found
    assert (row.kind, row.axes, row.group, row.count) == ('all-reduce', axes, 8, 1)
    assert row.bytes_sent == 2 * 7 / 8 * 64 * 32 * 4


def test_a_scan_gathers_its_weights_once_a_trip():
    def scanned(w, x):
        return jnp.sum(jax.lax.scan(lambda h, layer: (jnp.tanh(h @ layer), None), x, w)[0])

    on = mesh('fsdp=8')
    found = compiled(scanned, on, (P(None, 'fsdp'), P('fsdp')), (6, 32, 32), (2048, 32))
    (gather,) = (row for row in found if row.kind == 'all-gather')
    assert (gather.axes, gather.at_least) == (('fsdp',), False)
    assert gather.bytes_sent == 7 / 8 * 6 * 32 * 32 * 4


@pytest.mark.parametrize(
    ('operation', 'kind', 'num_bytes'),
    [
        (lambda x: jax.lax.all_gather(x, 'fsdp', tiled=True), 'all-gather', 4 * 128),
        (lambda x: jax.lax.psum_scatter(x, 'fsdp', tiled=True), 'reduce-scatter', 128),
        (lambda x: jax.lax.psum(x, 'fsdp'), 'all-reduce', 128),
        (lambda x: jax.lax.all_to_all(x, 'fsdp', 0, 0, tiled=True), 'all-to-all', 128),
        (
            lambda x: jax.lax.ppermute(x, 'fsdp', [(i, (i + 1) % 4) for i in range(4)]),
            'collective-permute',
            128,
        ),
    ],
)
def test_each_kind_is_found_in_a_real_program(operation, kind, num_bytes):
    on = mesh('data=2,fsdp=4')
    spec = P(('data', 'fsdp'))

    def mapped(x):
        return jax.shard_map(operation, mesh=on, in_specs=spec, out_specs=spec, check_vma=False)(x)

    (row,) = compiled(mapped, on, (spec,), (8 * 32,))  # 128 bytes a device
    group = 2 if kind == 'collective-permute' else 4
    assert (row.kind, row.axes, row.group) == (kind, ('fsdp',), group)
    assert row.bytes_sent == pytest.approx(sent(kind, group) * num_bytes)
