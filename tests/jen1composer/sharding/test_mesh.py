"""The mesh: it fills the devices, or says why not, and `data` alone crosses from slice to slice."""

import dataclasses

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.sharding.mesh import AXES, MeshShape, make_mesh, num_slices


@pytest.mark.parametrize(
    ('shape', 'sizes'),
    [
        ('data=8', (8, 1, 1, 1)),
        ('data=2,fsdp=4', (2, 4, 1, 1)),
        ('data=-1,fsdp=4', (2, 4, 1, 1)),
        ('fsdp=-1', (1, 8, 1, 1)),
        ('tensor=2, data=-1, sequence=2', (2, 1, 2, 2)),
    ],
)
def test_it_fills_the_devices(shape, sizes):
    mesh = make_mesh(MeshShape.parse(shape))
    assert mesh.axis_names == AXES
    assert mesh.devices.shape == sizes
    assert set(mesh.devices.flat) == set(jax.devices())


def test_it_takes_the_devices_it_is_given():
    mesh = make_mesh(MeshShape(data=-1), jax.devices()[3:5])
    assert list(mesh.devices.flat) == jax.devices()[3:5]


@given(st.lists(st.integers(1, 64), min_size=4, max_size=4))
def test_a_shape_reads_back_as_it_is_written(sizes):
    shape = MeshShape(**dict(zip(AXES, sizes, strict=True)))
    assert MeshShape.parse(str(shape)) == shape
    assert shape.filled(sizes[0] * sizes[1] * sizes[2] * sizes[3]) == shape


@pytest.mark.parametrize(
    'shape',
    ['data=3', 'data=8,fsdp=2', 'data=-1,fsdp=3', 'data=-1,fsdp=-1', 'data=-2,fsdp=-4', 'data=0'],
)
def test_sizes_that_do_not_fill_them_are_refused(shape):
    with pytest.raises(ValueError, match=f'mesh: {shape}; allowed .* devices, 8; '):
        make_mesh(MeshShape.parse(shape))


@pytest.mark.parametrize(
    'text', ['', 'model=2', 'data', 'data=two', 'data=2,data=4', 'data=2;fsdp=4']
)
def test_what_is_no_shape_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=f"mesh: '{text}'; .*data, fsdp, tensor, sequence"):
        MeshShape.parse(text)


@dataclasses.dataclass(frozen=True)
class Tpu:
    """What of a TPU the arrangement of a mesh looks at."""

    id: int
    slice_index: int
    process_index: int = 0
    platform: str = 'simulated'
    device_kind: str = 'simulated'
    coords: tuple[int, ...] = ()
    core_on_chip: int = 0


PODS = [Tpu(id=number, slice_index=number // 4) for number in (5, 0, 7, 2, 1, 6, 3, 4)]


@pytest.mark.parametrize('shape', ['data=2,fsdp=4', 'data=4,fsdp=2', 'data=2,fsdp=2,tensor=2'])
def test_only_data_crosses_from_one_slice_to_another(shape):
    assert num_slices(PODS) == 2
    mesh = make_mesh(MeshShape.parse(shape), PODS)
    for row in mesh.devices.reshape(len(mesh.devices), -1):
        assert len({device.slice_index for device in row}) == 1
    rows = [row.flat[0].slice_index for row in mesh.devices]
    assert rows == sorted(rows)


def test_data_that_the_slices_do_not_divide_is_refused():
    with pytest.raises(ValueError, match='fsdp=8; allowed on 2 slices are multiples of 2 for data'):
        make_mesh(MeshShape(fsdp=8), PODS)


@pytest.mark.parametrize(
    'shape', ['fsdp=256', 'data=64,tensor=4', 'data=64,fsdp=4', 'data=128,sequence=2']
)
def test_an_axis_may_be_part_of_one_of_the_torus(shape):
    torus = [
        Tpu(
            id=16 * y + x,
            slice_index=0,
            platform='tpu',
            device_kind='TPU v6 lite',
            coords=(x, y, 0),
        )
        for y in range(16)
        for x in range(16)
    ]
    mesh = make_mesh(MeshShape.parse(shape), torus)
    assert set(mesh.devices.flat) == set(torus)
    inner = MeshShape.parse(shape)
    neighbours = mesh.devices.reshape(-1, inner.tensor * inner.sequence)
    for row in neighbours:  # inside one row of the torus
        assert min(len({device.coords[axis] for device in row}) for axis in (0, 1)) == 1
