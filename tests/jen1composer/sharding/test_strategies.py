"""Strategies: by name, each with a mesh that fits the devices there are."""

import jax
import pytest

from jen1composer.errors import BadInput
from jen1composer.sharding.strategies import STRATEGIES, strategy


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        ('dp', (8, 1, 1, 1)),
        ('fsdp', (1, 8, 1, 1)),
        ('tp', (2, 1, 4, 1)),
        ('fsdp_tp', (1, 2, 4, 1)),
        ('hybrid', (2, 4, 1, 1)),
        ('sp', (4, 1, 1, 2)),
    ],
)
def test_each_has_a_mesh_of_its_own(name, shape):
    assert strategy(name).layout().mesh.devices.shape == shape


SPLIT = {  # what must be split for a strategy to be one
    'dp': (),
    'fsdp': ('channel',),
    'tp': ('inner',),
    'fsdp_tp': ('channel', 'inner'),
    'hybrid': ('channel',),
    'sp': ('frame',),
}


TOO_FEW = {'tp': (3, 5, 7), 'sp': (3, 5, 7), 'fsdp_tp': (2, 3, 5, 7), 'hybrid': (2, 3, 5, 7)}


@pytest.mark.parametrize('number', range(1, 9))
@pytest.mark.parametrize('name', STRATEGIES)
def test_any_number_of_devices_is_split_as_the_name_says_or_refused(name, number):
    devices = jax.devices()[:number]
    if number in TOO_FEW.get(name, ()):
        with pytest.raises(BadInput, match=f'is not {name}; allowed on several devices'):
            strategy(name).layout(devices=devices)
        return
    layout = strategy(name).layout(devices=devices)
    assert layout.mesh.size == layout.work_parts == number
    assert number == 1 or all(layout.parts(axis) > 1 for axis in SPLIT[name])


@pytest.mark.parametrize(
    ('name', 'mesh', 'said'),
    [
        ('dp', 'data=2,sequence=4', 'sequence=4 splits nothing that is computed'),
        (
            'dp',
            'tensor=8',
            'tensor=8 splits nothing that is computed: .* allowed are sizes of data, fsdp',
        ),
        ('fsdp', 'fsdp=4,tensor=2', 'tensor=2 splits nothing that is computed'),
        ('fsdp', 'data=8', 'data=8 with fsdp=1 is not fsdp; allowed on several devices are fsdp'),
        ('tp', 'fsdp=8', 'fsdp=8 with tensor=1 is not tp'),
        ('fsdp_tp', 'data=2,tensor=4', 'data=2,tensor=4 with fsdp=1 is not fsdp_tp'),
        ('hybrid', 'fsdp=8', 'fsdp=8 with data=1 is not hybrid'),
        ('sp', 'data=8', 'data=8 with sequence=1 is not sp'),
    ],
)
def test_a_mesh_on_which_devices_do_the_same_or_a_strategy_is_another_is_refused(name, mesh, said):
    with pytest.raises(BadInput, match=f'sharding.mesh: {said}'):
        strategy(name).layout(mesh)


def test_another_mesh_may_be_asked_for():
    mesh = strategy('fsdp').layout('data=4,fsdp=-1').mesh
    assert dict(mesh.shape) == {'data': 4, 'fsdp': 2, 'tensor': 1, 'sequence': 1}


def test_an_unknown_one_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="strategy: 'zero'; allowed are dp, fsdp, tp, fsdp_tp, "):
        strategy('zero')
