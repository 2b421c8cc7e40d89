"""Buffers: memory is used again when nothing reads it any more, and never before."""

import gc
import threading

import jax
import numpy as np

from data_pipeline.buffers import Buffers


def address(array):
    return array.__array_interface__['data'][0]


def test_what_is_gone_is_used_again_for_arrays_of_its_size():
    buffers = Buffers()
    first = buffers.empty((100, 50), np.float32)
    assert (first.shape, first.dtype) == ((100, 50), np.float32)
    where = address(first)
    assert address(buffers.empty((100, 50), np.float32)) != where
    del first
    again = buffers.empty((50, 200), np.float16)
    assert address(again) == where
    assert again.flags.writeable
    assert again.flags.c_contiguous


def test_a_view_holds_what_it_is_of():
    buffers = Buffers()
    array = buffers.empty((8, 1000), np.float32)
    array[:] = 7
    view, where = array[2:3].reshape(10, 100).T, address(array)
    del array
    others = [buffers.empty((8, 1000), np.float32) for _ in range(3)]
    assert where not in [address(other) for other in others]
    for other in others:
        other[:] = 0
    np.testing.assert_array_equal(view, np.full((100, 10), 7))
    del view
    assert address(buffers.empty((8, 1000), np.float32)) == where


def test_what_a_device_may_read_from_is_not_written_to():
    """On a CPU JAX takes an array as it lies, without a copy."""
    buffers = Buffers()
    placed = []
    for number in range(20):
        array = buffers.empty((64, 1024), np.float32)
        array[:] = number
        placed.append(jax.device_put(array))
        del array
    for number, found in enumerate(placed):
        assert (np.asarray(found) == number).all()


def test_threads_share_it_and_none_gets_what_another_has():
    buffers, wrong = Buffers(), []

    def work(number):
        for _ in range(200):
            array = buffers.empty((1000,), np.int64)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    gc.collect()
    assert sum(map(len, buffers._free.values())) <= 8  # each held one while it got the next
