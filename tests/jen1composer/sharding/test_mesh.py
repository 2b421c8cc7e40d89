"""The mesh: it fills the devices, or says why not."""

import jax
import pytest

from jen1composer.sharding.mesh import AXES, make_mesh


@pytest.mark.parametrize(
    ('sizes', 'shape'),
    [
        ({}, (8, 1)),
        ({'data': 8}, (8, 1)),
        ({'data': 2, 'fsdp': 4}, (2, 4)),
        ({'data': -1, 'fsdp': 4}, (2, 4)),
        ({'data': 1, 'fsdp': -1}, (1, 8)),
    ],
)
def test_it_fills_the_devices(sizes, shape):
    mesh = make_mesh(**sizes)
    assert mesh.axis_names == AXES
    assert mesh.devices.shape == shape
    assert set(mesh.devices.flat) == set(jax.devices())


def test_it_takes_the_devices_it_is_given():
    mesh = make_mesh(devices=jax.devices()[3:5])
    assert list(mesh.devices.flat) == jax.devices()[3:5]


@pytest.mark.parametrize(
    ('sizes', 'shown'),
    [
        ({'data': 3}, 'data=3, fsdp=1'),
        ({'data': 8, 'fsdp': 2}, 'data=8, fsdp=2'),
        ({'data': -1, 'fsdp': 3}, 'data=-1, fsdp=3'),
        ({'data': -1, 'fsdp': -1}, 'data=-1, fsdp=-1'),
        ({'data': -2, 'fsdp': -4}, 'data=-2, fsdp=-4'),
        ({'data': -1, 'fsdp': 0}, 'data=-1, fsdp=0'),
    ],
)
def test_sizes_that_do_not_fill_them_are_refused(sizes, shown):
    with pytest.raises(ValueError, match=f'sharding: {shown}; allowed .* devices, 8'):
        make_mesh(**sizes)
