"""Names of devices: what they say, and what is refused."""

import importlib.util
import types

import pytest

from jen1composer.errors import BadInput
from launch.sharding_devices import Devices


@pytest.fixture(params=[True, False])
def libtpu(request, monkeypatch):
    """With the TPU compiler, and without."""
    found = types.SimpleNamespace(origin='here') if request.param else None
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: found)
    return request.param


@pytest.mark.parametrize(
    ('text', 'platform', 'count'),
    [
        ('cpu', 'cpu', 1),
        ('cpu:8', 'cpu', 8),
        ('gpu', 'gpu', 0),
        ('gpu:2', 'gpu', 2),
        ('tpu', 'tpu', 0),
    ],
)
def test_devices_that_are_here(text, platform, count):
    devices = Devices.parse(text)
    assert (devices.platform, devices.count, devices.is_here) == (platform, count, True)
    assert devices.is_simulated == (platform == 'cpu')
    assert devices.alone.count == 1
    assert Devices.parse(devices.alone.text) == devices.alone


@pytest.mark.parametrize(
    ('text', 'topology', 'slices'),
    [
        ('v5e:4x4', 'v5e:4x4', 1),
        ('v5p:2x2x4', 'v5p:2x2x4', 1),
        ('v4:2x2x1', 'v4:2x2x1', 1),
        ('2xv5e:4x4', 'v5e:4x4', 2),
    ],
)
def test_topologies(libtpu, text, topology, slices):
    if not libtpu:
        with pytest.raises(BadInput, match=r'jen1composer\[tpu\]'):
            Devices.parse(text)
        return
    devices = Devices.parse(text)
    assert (devices.topology, devices.slices, devices.platform) == (topology, slices, 'tpu')
    assert not devices.is_here
    assert (
        devices.environment['JAX_PLATFORMS'] == 'cpu'
    )  # a TPU that is not there is not looked for


@pytest.mark.parametrize(
    'text', ['', 'v5e', 'cpu:0', 'cpu:-1', 'cpu:1000', 'npu', 'gpu:', 'v5e:4x4x', '0xv5e:4x4']
)
def test_what_names_no_devices_is_refused(text, monkeypatch):
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: types.SimpleNamespace(origin='here')
    )
    with pytest.raises(BadInput, match='allowed are'):
        Devices.parse(text)


def test_more_than_there_are_is_refused():
    with pytest.raises(BadInput, match='there are 8 here'):
        Devices.parse('cpu:9').find()
    assert len(Devices.parse('cpu:3').find()) == 3


def test_devices_are_asked_for_in_a_process_of_its_own():
    Devices.parse('cpu:3').require()
    with pytest.raises(BadInput, match=r'^--devices=tpu: JAX finds no tpu here$'):
        Devices(text='tpu', platform='tpu').require()
