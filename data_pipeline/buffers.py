"""Large arrays in memory that is used again.

Memory that is new has to be cleared, page by page, before it can be written to, and for a batch
that takes longer than to fill it. Here a block goes back when the last array in it is gone, be it
the one that was handed out, a view of it or what a device reads from: a block is held by an object
at the end of their chain of bases, and numpy does not cut the chain there.
"""

import ctypes
import math
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike


class Buffers:
    """Blocks of memory that are free, by their size; usable from many threads."""

    def __init__(self) -> None:
        self._free: dict[int, list[np.ndarray]] = {}

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> np.ndarray:
        """An array of any content."""
        dtype = np.dtype(dtype)
        num_bytes = math.prod(shape) * dtype.itemsize
        free = self._free.setdefault(num_bytes, [])
        try:
            block = free.pop()
        except IndexError:
            block = np.empty(num_bytes, np.uint8)
        holder = (ctypes.c_uint8 * num_bytes).from_buffer(block)
        weakref.finalize(holder, free.append, block)
        return np.frombuffer(holder, dtype).reshape(shape)
