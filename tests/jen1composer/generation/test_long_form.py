"""The plan of windows: what it covers, what each window sees, and how much it costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation import long_form

WINDOW = 16
OVERLAP = 8


@st.composite
def known_frames(draw) -> np.ndarray:
    """Tracks with up to two holes each, in pieces of up to ten windows."""
    num_frames = draw(st.integers(1, 10 * WINDOW))
    known = np.ones((draw(st.integers(1, 3)), num_frames), bool)
    for track in known:
        for _ in range(draw(st.integers(0, 2))):
            a, b = sorted(draw(st.tuples(*[st.integers(0, num_frames)] * 2)))
            track[a:b] = False
    return known


def seen(known: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """What `walk` hands to each window: its start and what is known in it."""
    known = known.copy()
    windows = []
    for start in long_form.plan(known, WINDOW):
        part = known[:, start : start + WINDOW]
        windows.append((start, part.copy()))
        part[:] = True
    return windows


@given(known_frames())
def test_every_unknown_frame_is_made_once_in_windows_of_one_size(known):
    made = np.zeros(known.shape, int)
    for start, part in seen(known):
        assert part.shape[1] == min(WINDOW, known.shape[1])
        assert not part.all()
        made[:, start : start + WINDOW] += ~part
    np.testing.assert_array_equal(made, ~known)


@given(
    before=st.just(0) | st.integers(OVERLAP, 50),
    hole=st.integers(1, 100),
    after=st.just(0) | st.integers(OVERLAP, 50),
)
def test_a_window_sees_enough_of_what_is_there(before, hole, after):
    known = np.array([[True] * before + [False] * hole + [True] * after])
    windows = [part for _, part in seen(known)]
    if not before and not after:  # a piece from nothing
        assert not windows.pop(0).any()
    for part in windows:
        assert part.sum() >= WINDOW * (1 - long_form.MOST_HIDDEN) or known.size <= WINDOW
    ends = [part[0, -1] for part in windows if part[0, 0]]
    if before and after:  # at last it is seen where the music goes
        assert ends[-1]


@given(known_frames())
def test_windows_are_no_more_than_the_holes_need(known):
    unknown = int((~known.all(axis=0)).sum())
    longest_hole_count = 6  # two in each of three tracks
    # A walk makes WINDOW - OVERLAP frames in a step, and may end once short on either side.
    most = unknown / (WINDOW - OVERLAP) + 2 * longest_hole_count
    assert len(long_form.plan(known, WINDOW)) <= most


@pytest.mark.parametrize('num_frames', [17, 40, 41, 160])
def test_a_piece_from_nothing_is_continued_to_the_right(num_frames):
    windows = seen(np.zeros((2, num_frames), bool))
    assert windows[0][0] == 0
    assert not windows[0][1].any()
    for _, part in windows[1:]:
        assert part[:, :OVERLAP].all()  # the overlap, or more in the last one
        assert long_form.is_continuation(part)


def test_sound_is_continued_to_either_side():
    known = np.zeros((1, 100), bool)
    known[:, 40:50] = True
    (_, around), *windows = seen(known)
    assert around[:, -OVERLAP:].all()
    right = [part for start, part in windows if start >= 40]
    left = [part for start, part in windows if start < 40]
    assert len(right) > 2 < len(left)
    assert all(part[:, 0].all() and long_form.is_continuation(part) for part in right)
    assert all(part[:, -OVERLAP:].all() and not part[:, 0].any() for part in left)
    assert not any(long_form.is_continuation(part) for part in left)


def test_a_small_hole_has_one_window_around_it_and_a_long_one_ends_in_what_follows():
    known = np.ones((2, 100), bool)
    known[0, 50:60] = False
    assert long_form.plan(known, WINDOW) == (47,)
    known[0, 30:60] = False
    windows = seen(known)
    assert [part[0, 0] for _, part in windows] == [True] * len(windows)
    assert windows[-1][0] + WINDOW == 60 + OVERLAP // 2
    assert not long_form.is_continuation(windows[-1][1])


@pytest.mark.parametrize(
    ('known', 'continues'),
    [
        ([[1, 1, 0, 0]], True),
        ([[1, 0, 0, 0], [1, 1, 1, 0]], True),
        ([[1, 1, 0, 0], [1, 1, 1, 1]], False),  # as it is not in the training
        ([[1, 1, 0, 0], [0, 0, 0, 0]], False),
        ([[0, 0, 1, 1]], False),
        ([[1, 0, 0, 1]], False),
        ([[1, 0, 1, 0]], False),
    ],
)
def test_a_continuation_is_known_up_to_some_frame_in_every_track(known, continues):
    assert long_form.is_continuation(np.array(known, bool)) == continues


def test_a_walk_keeps_what_is_known_and_hands_on_what_it_makes():
    rng = np.random.default_rng(0)
    known = np.arange(100) < np.array([[20], [0]])
    latents = np.where(known[..., None], -rng.random((2, 100, 3)), np.nan)
    calls = []

    def make(number, start, part, is_known):
        calls.append(number)
        before = np.ceil(part[is_known].max())  # NaN where there is one that was never made
        return np.full(part.shape, before + 1)  # so each window counts on from the last

    done = []
    result = long_form.walk(latents, known, WINDOW, make, lambda *report: done.append(report))
    np.testing.assert_array_equal(result[known], latents[known])
    assert calls == list(range(len(calls)))
    assert done == [(number, len(calls)) for number in range(len(calls) + 1)]
    starts = long_form.plan(known, WINDOW)
    windows = zip(starts, seen(known), strict=True)
    for number, (start, (_, part)) in enumerate(windows):
        assert (result[:, start : start + WINDOW][~part] == number + 1).all()


def test_what_the_report_raises_ends_the_walk():
    def cancel(done, total):
        raise BadInput(f'{done} of {total}')

    with pytest.raises(BadInput, match='0 of 1'):
        long_form.walk(np.zeros((1, 4, 1)), np.zeros((1, 4), bool), WINDOW, None, cancel)
