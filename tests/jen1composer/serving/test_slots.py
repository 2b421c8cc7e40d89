"""Who sits where, with a step that only counts: no network, so thousands of comings and goings."""

import threading

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.diffusion.batch import Control, Task, Text
from jen1composer.diffusion.guidance import Guidance
from jen1composer.errors import RunFailed
from jen1composer.generation.rows import Row
from jen1composer.serving.slot_step import State
from jen1composer.serving.slots import Cancelled, Slots, Work, num_slots

TRACKS, COUNT = 3, 5


def make_work(seed, *, text=False, control=False, given=(), num_steps=2):
    words = np.zeros((1, 1), np.float32)
    row = Row(
        clean=np.zeros((TRACKS, 1, 1), np.float32),
        task=Task(
            roles=np.zeros(TRACKS, np.int32),
            visible=np.zeros((TRACKS, 1), bool),
            causal=np.array(False),
        ),
        text=Text(
            prompt=words,
            prompt_mask=np.ones(1, bool),
            use_prompt=np.array(True),
            prefix=words,
            prefix_mask=np.ones(1, bool),
            control=Control(
                bpm=np.array(90, np.float32),
                key=np.array(3, np.int32),
                chords=np.array([5], np.int32),
            ),
        ),
        seed=seed,
        window=0,
        guidance=Guidance(
            text=np.float32(2 if text else 1),
            control=np.float32(2 if control else 1),
            given=np.where(np.isin(np.arange(TRACKS), given), 2, 1).astype(np.float32),
            low=np.float32(0),
            high=np.float32(1),
            rescale=np.float32(0),
        ),
        times=np.linspace(1, 0, num_steps + 1, dtype=np.float32)[:, None].repeat(TRACKS, axis=1),
        sampler='counting',
    )
    return Work(row=row, cancelled=threading.Event())


def count(state, seated, now):
    """x becomes the sum of the row's seed over its steps; checks who sits where."""
    seated, now = vars(seated), vars(now)
    home, branch = np.asarray(seated['home']), np.asarray(seated['branch'])
    use_prompt = np.asarray(seated['text'].use_prompt)
    bpm = np.asarray(seated['text'].control.bpm)
    dropped, seed = np.asarray(seated['dropped']), np.asarray(seated['seed'])
    for k in np.flatnonzero(home == np.arange(COUNT)):
        guidance = seated['guidance']
        scales = [guidance.text[k], guidance.control[k], *guidance.given[k]]
        np.testing.assert_array_equal(branch[k] != k, np.asarray(scales) != 1)
        assert use_prompt[k]
        assert bpm[k] == 90
        assert not dropped[k].any()
        others = branch[k][branch[k] != k]
        assert len(set(others)) == len(others)
        for i, other in enumerate(branch[k]):
            if other != k:
                assert (home[other], seed[other]) == (k, seed[k])
                assert use_prompt[other] == (i != 0)
                assert bpm[other] == (0 if i == 1 else 90)
                np.testing.assert_array_equal(dropped[other], np.arange(TRACKS) == i - 2)
    gone = (now['t_now'] - now['t_next']) * np.asarray(seated['num_steps'])[:, None]
    np.testing.assert_allclose(gone, 1, rtol=1e-5)
    x = np.where(now['number'][:, None, None, None] == 0, 0, np.asarray(state.x))
    return State(x=jnp.asarray(x + np.float32(seed[:, None, None, None])), solver=state.solver)


def heard(work):
    return [work.told.get_nowait() for _ in range(work.told.qsize())]


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [{}, {'text': True}, {'control': True}, {'text': True, 'control': True}]
            ),
            st.sets(st.integers(0, TRACKS - 1), max_size=2),
            st.integers(1, 4),
            st.integers(0, 9),
        ),
        max_size=8,
    ),
    st.lists(st.integers(0, 2), max_size=8),
)
def test_every_row_is_made_by_itself_and_first_come_is_first_served(asked, arrivals):
    slots = Slots(COUNT, count, threading.Condition())
    works = [
        make_work(seed, **told, given=tuple(tracks), num_steps=steps)
        for seed, (told, tracks, steps, _) in enumerate(asked, start=1)
    ]
    coming = list(works)
    seen: list[Work] = []
    for turn in range(60):
        for _ in range(arrivals[turn] if turn < len(arrivals) else len(coming)):
            if coming:
                slots.waiting.append(coming.pop(0))
        for work, (*_, off_at) in zip(works, asked, strict=True):
            if off_at == turn:
                work.cancelled.set()
        slots.turn()
        assert slots.num_taken == sum(num_slots(work.row) for work in slots.works) <= COUNT
        seen += [work for work in slots.works if work not in seen]
    assert not slots.works
    assert not slots.waiting
    assert seen == [work for work in works if work in seen]
    for seed, work in enumerate(works, start=1):
        *steps, last = heard(work)
        assert steps == list(range(1, len(steps) + 1))
        if isinstance(last, Cancelled):
            assert work.cancelled.is_set()
        else:
            assert (last == seed * work.row.num_steps).all()
            assert len(steps) == work.row.num_steps


def test_a_large_row_that_waits_is_not_overtaken():
    slots = Slots(COUNT, count, threading.Condition())
    first = [make_work(1, num_steps=3), make_work(2, num_steps=3)]
    large, late = make_work(3, text=True, given=(0, 1, 2)), make_work(4)
    slots.waiting.extend([*first, large, late])
    slots.turn()
    assert slots.works == first
    for _ in range(2):
        slots.turn()
    slots.turn()
    assert slots.works == [large]
    slots.turn()
    slots.turn()
    assert slots.works == [late]


def test_an_error_ends_those_that_are_seated_and_no_one_else():
    def fails(state, seated, now):
        raise MemoryError

    slots = Slots(1, fails, threading.Condition())
    first, second = make_work(1), make_work(2)
    slots.waiting.extend([first, second])
    slots.turn()
    (error,) = heard(first)
    assert isinstance(error, RunFailed)
    assert 'MemoryError' in str(error)
    assert isinstance(error.__cause__, MemoryError)
    assert heard(second) == []
    assert list(slots.waiting) == [second]
