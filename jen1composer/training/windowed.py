"""A network over more frames than it is given at once, on one device or on several.

Input is worked through in windows of one length, and what the network makes of a window's edges is
cut off, as far as it reaches, so that the parts equal the whole: of n frames the window from s on,
of length W, keeps

    s + reach .. s + W - reach,   the first one from 0 on, the last one, which ends at n, up to n.

All windows have one shape, so the network is compiled once. On several devices each has a window of
its own at a time, all rows of it: just what one device would have, and nothing is communicated.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

# [row, frame, width], the frame of the whole at which each row begins [row] int32
# -> [row, frame, another width]
Network = Callable[[np.ndarray, np.ndarray], jax.Array]


class Window(NamedTuple):
    """The window from frame `start` on, which gives the frames `begin` to `end`."""

    start: int
    begin: int
    end: int


def windows(num_frames: int, length: int, reach: int) -> list[Window]:
    """Windows that together give every frame once; `num_frames` is more than `length`."""
    found, done = [], 0
    while done < num_frames:
        start = min(max(0, done - reach), num_frames - length)
        end = num_frames if start + length == num_frames else start + length - reach
        found.append(Window(start, done, end))
        done = end
    return found


def in_windows(
    network: Network, x: np.ndarray, *, length: int, reach: int, num_devices: int = 1
) -> np.ndarray:
    """`network` over `[row, frame, width]`.

    Args:
      network: takes rows that are split evenly over the devices.
      x: what it is applied to; as it is, where it has no more frames than a window.
      length: of a window in frames, more than twice the reach.
      reach: how many frames away an input frame still changes the output.
      num_devices: that the network works on.
    """
    rows, num_frames, _ = x.shape
    if num_frames <= length:
        filled = _filled(x, -(-rows // num_devices) * num_devices)
        return np.asarray(network(filled, np.zeros(len(filled), np.int32)))[:rows]
    places = windows(num_frames, length, reach)
    groups = [places[k : k + num_devices] for k in range(0, len(places), num_devices)]
    running: deque[jax.Array] = deque()
    whole = np.zeros(0)
    for number in range(len(groups) + 1):
        if number < len(groups):
            parts = [x[:, of.start : of.start + length] for of in groups[number]]
            starts = np.repeat(np.array([of.start for of in groups[number]], np.int32), rows)
            together = _filled(np.concatenate(parts), num_devices * rows)
            running.append(network(together, _filled(starts, num_devices * rows)))
        if number > 0:  # What was begun before is fetched while the next is at work.
            y = np.asarray(running.popleft())
            if number == 1:
                whole = np.empty((rows, num_frames, y.shape[2]), y.dtype)
            for place, of in enumerate(groups[number - 1]):
                part = y[place * rows : (place + 1) * rows]
                whole[:, of.begin : of.end] = part[:, of.begin - of.start : of.end - of.start]
    return whole


def _filled(x: np.ndarray, rows: int) -> np.ndarray:
    """`x` with rows of zeros up to `rows`."""
    return np.pad(x, ((0, rows - len(x)), *((0, 0),) * (x.ndim - 1))) if len(x) < rows else x
