"""Strategies: by name, each with a mesh that fits the devices there are."""

import jax
import pytest

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


@pytest.mark.parametrize('number', [1, 2, 3, 6])
@pytest.mark.parametrize('name', STRATEGIES)
def test_any_number_of_devices_will_do(name, number):
    assert strategy(name).layout(devices=jax.devices()[:number]).mesh.size == number


def test_another_mesh_may_be_asked_for():
    mesh = strategy('fsdp').layout('data=4,fsdp=-1').mesh
    assert dict(mesh.shape) == {'data': 4, 'fsdp': 2, 'tensor': 1, 'sequence': 1}


def test_an_unknown_one_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="strategy: 'zero'; allowed are dp, fsdp, tp, fsdp_tp, "):
        strategy('zero')
