"""Music of any length, in windows of the length that the network was trained on.

A frame is known or not; those of a hole, the longest stretches in which some target is unknown, are
made window by window, and what one window has made is known to the next. With a window of W frames
and an overlap of O,

(1) a piece of at most W frames is one window
(2) a hole of at most W x MOST_HIDDEN has one window, with the hole in its middle if there is room
(3) a longer one, from a to b, is walked in steps of W - O: to the right from a - O, as long as
    windows end before b; a last one reaches O / 2 past b
(4) where the piece begins with the hole, from the first frame of which some target is known; the
    last one reaches O past b; then from the first of these windows to the left

so a window of (2) sees all that is not the hole, and one of a walk goes on from O frames, or from
as many as there are where fewer are known before the hole; the last one sees both sides where there
are two, and the first of a piece from nothing sees nothing. Every unknown frame is made in exactly
one window, and windows in which there is nothing to make are left out. The windows have one size,
so the memory of the work does not depend on the length.
"""

from collections.abc import Callable, Iterator

import numpy as np

OVERLAP = 0.5  # of a window; the network learnt to continue from 20 to 80 % of one
MOST_HIDDEN = 0.8

# (number of the window, its first frame, latents [track, frame, channel], known [track, frame])
# -> latents
Make = Callable[[int, int, np.ndarray, np.ndarray], np.ndarray]


def plan(known: np.ndarray, window_frames: int) -> tuple[int, ...]:
    """The first frames of the windows, in their order; `known` is bool [track, frame]."""
    candidates = list(_candidates(known, min(window_frames, known.shape[1])))
    known = known.copy()
    starts = []
    for start in candidates:
        window = known[:, start : start + window_frames]
        if not window.all():
            starts.append(start)
            window[:] = True
    return tuple(starts)


def walk(
    latents: np.ndarray,
    known: np.ndarray,
    window_frames: int,
    make: Make,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """`latents` with all that is not known made by `make`, window by window.

    Args:
        latents: [track, frame, channel].
        known: bool [track, frame]; True everywhere on tracks that are not made.
        window_frames: of every window, unless the piece is shorter.
        make: what it returns of known frames is unused.
        progress: called with the number of windows that are done and of all, from 0 on; what it
            raises ends the work.
    """
    latents, known = latents.copy(), known.copy()
    starts = plan(known, window_frames)
    report = progress or (lambda done, total: None)
    report(0, len(starts))
    for number, start in enumerate(starts):
        part = (slice(None), slice(start, start + window_frames))
        made = make(number, start, latents[part], known[part])
        latents[part] = np.where(known[part][..., None], latents[part], made)
        known[part] = True
        report(number + 1, len(starts))
    return latents


def is_continuation(known: np.ndarray) -> bool:
    """Whether every track of bool [track, frame] is known up to some frame and unknown after it."""
    falls = (np.diff(known.astype(int), axis=1) <= 0).all()
    return bool(falls and known[:, 0].all() and not known[:, -1].any())


def _candidates(known: np.ndarray, window: int) -> Iterator[int]:
    """The windows of (1) to (4) of each hole, though an earlier one may have made all in it."""
    num_frames = known.shape[1]
    overlap = int(window * OVERLAP)
    latest = num_frames - window
    of_targets = known[~known.all(axis=1)]
    for a, b in _stretches(np.logical_not(known.all(axis=0))):
        if num_frames == window or b - a <= window * MOST_HIDDEN:
            yield min(max((a + b - window) // 2, 0), latest)
            continue
        beyond = overlap // 2 if a > 0 else overlap
        low, high = max(a - overlap, 0), min(b + beyond, num_frames)
        last, step = high - window, window - overlap
        some_known = np.flatnonzero(of_targets[:, low:high].any(axis=0))
        anchor = min(low + int(some_known[0]) if len(some_known) else low, last)
        to_right = [*range(anchor, b - window, step), last]
        yield from to_right
        if to_right[0] > low:  # (4)
            yield from [*range(to_right[0] - step, low, -step), low]


def _stretches(wanted: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of the longest runs of True in bool [frame]."""
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
