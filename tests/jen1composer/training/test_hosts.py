"""Hosts that decide alike: host 0's clock, any host's signal; one host asks nobody."""

import signal

import jax
import numpy as np
import pytest
from jax.experimental import multihost_utils

from jen1composer.training import hosts


@pytest.mark.parametrize(
    ('told', 'save', 'number'),
    [
        ([[1, 0], [0, 0]], True, 0),  # only the first clock counts
        ([[0, 0], [1, 0]], False, 0),
        ([[0, 0], [0, 0], [0, signal.SIGINT]], False, signal.SIGINT),  # any signal does
        ([[0, signal.SIGINT], [0, signal.SIGTERM]], False, signal.SIGTERM),
    ],
)
def test_what_is_decided(told, save, number, monkeypatch):
    """Each host gets the same table, so the same decision."""
    monkeypatch.setattr(jax, 'process_count', lambda: len(told))
    monkeypatch.setattr(multihost_utils, 'process_allgather', lambda mine: np.asarray(told))
    with jax.transfer_guard('disallow'):
        assert {hosts.agree(bool(mine[0]), mine[1]) for mine in told} == {(save, number)}


def test_one_host_asks_nobody(monkeypatch):
    monkeypatch.setattr(multihost_utils, 'process_allgather', None)
    assert hosts.agree(True, signal.SIGTERM) == (True, signal.SIGTERM)


def test_arrays_are_fetched_as_they_are():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:2]), 'x')
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('x'))
    x = np.arange(6.0, dtype=np.float32)
    fetched = hosts.fetch({'split': jax.device_put(x, split), 'host': x})
    np.testing.assert_array_equal(fetched['split'], x)
    assert isinstance(fetched['split'], np.ndarray)
    assert fetched['host'] is x
