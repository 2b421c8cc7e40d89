"""Who sits where: rows of one solver that come and go between steps of `slot_step`.

A row waits until as many slots are free as it needs, first come, first served, and holds them until
its last step, or until it is called off. A free slot repeats a row that is there, and nobody looks.
"""

import collections
import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from absl import logging

from jen1composer.diffusion.batch import Text, unknown_control
from jen1composer.errors import RunFailed
from jen1composer.generation.rows import Row, stacked, without_batch
from jen1composer.serving.slot_step import Now, Seated, State

# (state, who is seated, where they stand) -> state; on the devices
Run = Callable[[State, Seated, Now], State]


class Cancelled(Exception):
    """The work was called off by the one that had asked for it."""


class Flag(Protocol):
    """A threading.Event, or what is like one."""

    def is_set(self) -> bool: ...


@dataclasses.dataclass(eq=False, kw_only=True)
class Work:
    """A row on its way, with who waits for it."""

    row: Row
    cancelled: Flag
    abandoned: threading.Event = dataclasses.field(default_factory=threading.Event)
    number: int = 0  # of steps that are done
    # What the one who waits is told: a number of steps, the latents, or what went wrong.
    told: 'queue.SimpleQueue[int | np.ndarray | BaseException]' = dataclasses.field(
        default_factory=queue.SimpleQueue
    )

    @property
    def is_off(self) -> bool:
        return self.abandoned.is_set() or self.cancelled.is_set()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seat:
    """What one slot holds: a row itself, or the branch of it without one of its conditions."""

    work: Work
    home: int
    without_prompt: bool = False
    without_control: bool = False  # tempo, key and chords
    without: int | None = None  # a track, by number


def num_slots(row: Row) -> int:
    """The slots that a row takes: its own, and one for each branch of its guidance."""
    return 1 + row.branches.text + row.branches.control + len(row.branches.given)


class Slots:
    """The slots of one solver. One thread works it; others may only look at the numbers.

    Args:
        count: of slots.
        run: one step of all of them.
        lock: held by whoever changes `waiting`.
    """

    def __init__(self, count: int, run: Run, lock: threading.Condition) -> None:
        self._run = run
        self._lock = lock
        self._seats: list[Seat | None] = [None] * count
        self._state: State | None = None
        self._seated: Seated | None = None  # on the devices; None when someone came or went
        self.waiting: collections.deque[Work] = collections.deque()

    @property
    def works(self) -> list[Work]:
        """Those that are seated."""
        return [seat.work for k, seat in enumerate(self._seats) if seat and seat.home == k]

    @property
    def num_taken(self) -> int:
        return sum(seat is not None for seat in self._seats)

    def turn(self) -> None:
        """Frees what was called off, seats who fits, and takes one step of all that are seated.

        Whatever goes wrong is told to those that it concerns, and ends here.
        """
        try:
            with self._lock:
                self._free_cancelled()
                self._admit()
            if self.works:
                self._step()
        except Exception as error:  # out of memory, for example: the next row may fit again
            logging.exception('a step of the sampler failed')
            for work in self.works:
                told = RunFailed(f'a step of the sampler failed: {_one_line(error)}')
                told.__cause__ = error
                self._end(work, told)

    def end_all(self, why: BaseException) -> None:
        """Tells `why` to all that are seated or wait, and lets them go."""
        for work in [*self.works, *self.waiting]:
            self._end(work, why)
        self.waiting.clear()

    def _free_cancelled(self) -> None:
        for work in self.works:
            if work.is_off:
                self._end(work, Cancelled())
        for work in [work for work in self.waiting if work.is_off]:
            self.waiting.remove(work)
            work.told.put(Cancelled())

    def _admit(self) -> None:
        free = [k for k, seat in enumerate(self._seats) if seat is None]
        while self.waiting and num_slots(self.waiting[0].row) <= len(free):
            work = self.waiting.popleft()
            for seat in _seats(work, free[0]):
                self._seats[free.pop(0)] = seat
            self._seated = None

    def _step(self) -> None:
        if self._seated is None:
            self._seated = jax.device_put(_seated(self._seats))
        seated = self._seated
        state = self._state or State.empty(seated.clean.shape)
        self._state = jax.block_until_ready(self._run(state, seated, _now(self._seats)))
        for work in self.works:
            work.number += 1
            if work.number < work.row.num_steps:
                work.told.put(work.number)
            else:
                self._finish(work)

    def _finish(self, work: Work) -> None:
        assert self._state is not None
        home = next(k for k, seat in enumerate(self._seats) if seat and seat.work is work)
        latents = np.array(np.asarray(self._state.x)[home])
        work.told.put(work.number)
        if np.isfinite(latents).all():
            self._end(work, latents)
        else:
            self._end(work, RunFailed('latents came out that are not finite'))

    def _end(self, work: Work, result: np.ndarray | BaseException) -> None:
        self._seats = [None if seat and seat.work is work else seat for seat in self._seats]
        self._seated = None
        if not self.works:
            self._state = None  # nothing is kept for nobody
        work.told.put(result)


def _seats(work: Work, home: int) -> Iterator[Seat]:
    branches = work.row.branches
    yield Seat(work=work, home=home)
    if branches.text:
        yield Seat(work=work, home=home, without_prompt=True)
    if branches.control:
        yield Seat(work=work, home=home, without_control=True)
    for track in branches.given:
        yield Seat(work=work, home=home, without=track)


def _filled(seats: Sequence[Seat | None]) -> list[Seat]:
    """The seats, with one that is taken in place of each free one."""
    someone = next(seat for seat in seats if seat is not None)
    return [seat or someone for seat in seats]


def _seated(seats: Sequence[Seat | None]) -> Seated:
    filled = _filled(seats)
    rows = [seat.work.row for seat in filled]
    num_tracks = len(rows[0].clean)
    home = np.array([seat.home for seat in filled], np.int32)
    branch = np.repeat(home[:, None], 2 + num_tracks, axis=1)
    dropped = np.zeros((len(filled), num_tracks), bool)
    for k, seat in enumerate(seats):
        if seat is None or k == seat.home:
            continue
        which = int(seat.without_control) if seat.without is None else 2 + seat.without
        branch[home == seat.home, which] = k
        if seat.without is not None:
            dropped[k, seat.without] = True
    return Seated(
        clean=np.stack([row.clean for row in rows]),
        task=stacked([row.task for row in rows]),
        text=stacked([_told(seat) for seat in filled]),
        seed=np.array([row.seed for row in rows], np.uint32),
        window=np.array([row.window for row in rows], np.uint32),
        guidance=stacked([row.guidance for row in rows]),
        num_steps=np.array([row.num_steps for row in rows], np.uint32),
        home=home,
        branch=branch,
        dropped=dropped,
    )


def _told(seat: Seat) -> Text:
    """What its row is told in words and numbers, but for what the seat leaves out."""
    text = seat.work.row.text
    told = dataclasses.replace(text, use_prompt=text.use_prompt & np.bool(not seat.without_prompt))
    if seat.without_control and text.control is not None:
        unknown = unknown_control(1, text.control.chords.shape[-1])
        told = dataclasses.replace(told, control=without_batch(unknown))
    return told


def _now(seats: Sequence[Seat | None]) -> Now:
    works: list[Any] = [seat.work for seat in _filled(seats)]
    return Now(
        number=np.array([work.number for work in works], np.uint32),
        t_now=np.stack([work.row.times[work.number] for work in works]),
        t_next=np.stack([work.row.times[work.number + 1] for work in works]),
    )


def _one_line(error: BaseException) -> str:
    return (str(error).splitlines() or [''])[0] or type(error).__name__
