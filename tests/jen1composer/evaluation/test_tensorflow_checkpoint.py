"""Checkpoints of TensorFlow: one that it wrote is read, and what is none is refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.evaluation.tensorflow_checkpoint import read_checkpoint
from tests.peers import live


@pytest.fixture(scope='module')
def recorded():
    with np.load(live.HERE / 'musicnn.npz') as file:
        return dict(file)


def files(recorded):
    return recorded['index'].tobytes(), recorded['data'].tobytes()


def test_the_tensors_are_those_that_tensorflow_saved(recorded):
    saved = {key.removeprefix('saved/'): x for key, x in recorded.items() if key[:6] == 'saved/'}
    found = read_checkpoint(*files(recorded), 'small')
    assert set(found) == set(saved)
    assert len({x.dtype for x in found.values()}) == 5
    for name, value in saved.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@given(cut=st.integers(0, 2000))
def test_a_file_that_was_cut_off_is_refused_in_one_line(recorded, cut):
    index, data = files(recorded)
    with pytest.raises(BadInput, match='small: no TensorFlow checkpoint') as refusal:
        read_checkpoint(index[: cut % len(index)], data, 'small')
    assert '\n' not in str(refusal.value)
    with pytest.raises(BadInput, match='small: no TensorFlow checkpoint'):
        read_checkpoint(index, data[: cut % len(data)], 'small')


@given(place=st.integers(0), byte=st.integers(0, 255))
def test_a_damaged_index_raises_nothing_else(recorded, place, byte):
    index, data = files(recorded)
    damaged = bytearray(index)
    damaged[place % len(index)] = byte
    with contextlib.suppress(BadInput):  # any other error fails; some damage is to a name or sum
        read_checkpoint(bytes(damaged), data, 'small')


def test_a_compressed_table_is_refused(recorded):
    index, data = files(recorded)
    # The footer says where the index block lies: its byte of compression comes right before it.
    block = bytearray(index)
    block[len(index) - 48 - 5] = 1
    with pytest.raises(BadInput, match='compression: 1; allowed is 0, none'):
        read_checkpoint(bytes(block), data, 'small')
