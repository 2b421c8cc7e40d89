"""Continuous batching: requests share one batch, and join and leave it between steps.

The network is told a time per row and track, and a solver keeps what it remembers per row, so rows
at different steps of different requests can be one evaluation. One thread takes the steps
(`slots`, `slot_step`); what comes before and after them, codec and words, is done by the thread
that asks. So

(1) a request waits for free slots, never for another request to end
(2) the same seed gives the same music, whatever else is in the batch: equal to the bit at one
    number of slots on one machine, and the music of `Composer.compose` up to rounding
(3) what is called off leaves before the next step, and what goes wrong with a step is told to those
    whose rows it held; the engine lives on

Rows of different solvers are different programs; these take steps in turn.
"""

import contextlib
import dataclasses
import functools
import math
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from jen1composer.errors import BadInput, RunFailed, require
from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.generation.rows import Row, make_stepper
from jen1composer.models.unet import UNet
from jen1composer.serving.slot_step import step
from jen1composer.serving.slots import Cancelled, Flag, Slots, Work, num_slots


class Closed(RunFailed):
    """The engine makes nothing more."""

    def __init__(self) -> None:
        super().__init__('the engine is closed, nothing more is made')


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepProgress:
    """How far a request is."""

    done: int  # denoising steps, of all its windows
    total: int
    left_s: float | None  # seconds until the last step; None as long as it cannot be told

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
    """What an engine is doing at a moment."""

    running: int  # rows that hold slots
    waiting: int  # rows that wait for slots
    taken: int  # slots, of all solvers
    slots: int  # of one solver


class Engine:
    """Makes rows of many requests at a time; a context manager, and safe to call from any thread.

    Args:
        composer: whose weights and words it works with.
        slots: rows of the network's batch. A request takes one, and one more for every branch of
            its guidance, so one with a prompt takes two. All are evaluated in every step, free or
            not: more of them is more music a second where the device has room for them, as an
            accelerator has; on a processor, which one request fills, only the step is slower.

    Raises:
        BadInput: for less than one slot.
    """

    def __init__(self, composer: Composer, slots: int = 8) -> None:
        require(slots >= 1, 'slots', slots, 'are 1 or more')
        self.composer = composer
        self.slots = slots
        self._params = composer.device_params
        self._by_solver: dict[str, Slots] = {}
        self._changed = threading.Condition()  # holds for all that follows, and for `waiting`
        self._under_way = 0  # calls that may still bring rows
        self._closing = False
        self._ended = False
        self._thread = threading.Thread(target=self._work, name='engine', daemon=True)
        self._thread.start()

    def __enter__(self) -> 'Engine':
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close(finish_s=0.0 if kind else math.inf)

    @property
    def load(self) -> Load:
        with self._changed:
            all_slots = list(self._by_solver.values())
            return Load(
                running=sum(len(slots.works) for slots in all_slots),
                waiting=sum(len(slots.waiting) for slots in all_slots),
                taken=sum(slots.num_taken for slots in all_slots),
                slots=self.slots,
            )

    def compose(
        self,
        request: Request,
        *,
        cancelled: Flag | None = None,
        on_progress: Callable[[StepProgress], None] | None = None,
    ) -> Composition:
        """`Composer.compose`, in the batch that all share.

        Args:
            request: what to make.
            cancelled: set from another thread, calls it off.
            on_progress: told of every step, in this thread; what it raises ends the work.

        Raises:
            BadInput: where it cannot be made, naming the field.
            RunFailed: where a step failed, or samples come out that are not finite.
            Cancelled: it was called off.
            Closed: the engine was closed before it was done.
        """
        counter = _Counter(request.num_steps, on_progress)

        def on_window(done: int, total: int) -> None:
            if cancelled is not None and cancelled.is_set():
                raise Cancelled
            counter.windows(done, total)

        with self._call():
            make_row = functools.partial(self._make, cancelled=cancelled, on_step=counter.step)
            composition = self.composer.compose(request, on_window, make_row=make_row)
            if cancelled is not None and cancelled.is_set():
                raise Cancelled
            return composition

    def make_row(
        self,
        row: Row,
        *,
        cancelled: Flag | None = None,
        on_step: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """Latents [track, frame, channel] of `row`; waits until they are made.

        `on_step` is told the number of steps that are done, in this thread; what it raises calls
        the row off. Raises as `compose` does.
        """
        with self._call():
            return self._make(row, cancelled=cancelled, on_step=on_step)

    def close(self, finish_s: float = math.inf) -> None:
        """Takes nothing more, waits up to `finish_s` for what is under way, and ends.

        What is not done by then is told that the engine is `Closed`.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            timeout = None if math.isinf(finish_s) else finish_s
            self._changed.wait_for(lambda: not self._under_way, timeout)
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        """Around a call that may bring rows: an engine that is closing takes no new one."""
        with self._changed:
            if self._closing:
                raise Closed
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def _make(
        self, row: Row, *, cancelled: Flag | None, on_step: Callable[[int], None] | None
    ) -> np.ndarray:
        self._check(row)
        needed = num_slots(row)
        if needed > self.slots:
            raise BadInput(
                f'guidance: asks for {needed} evaluations a step; allowed are {self.slots}, the '
                'slots of the engine'
            )
        work = Work(row=row, cancelled=cancelled or threading.Event())
        with self._changed:
            if self._ended:
                raise Closed
            self._slots_of(row.sampler).waiting.append(work)
            self._changed.notify_all()
        try:
            while True:
                told = work.told.get()
                if isinstance(told, BaseException):
                    raise told
                if isinstance(told, np.ndarray):
                    return told
                if on_step is not None:
                    on_step(told)
        except BaseException:
            work.abandoned.set()  # frees its slots, where it still has some
            raise

    def _check(self, row: Row) -> None:
        """Refuses a row of another composer: one that does not fit would spoil the step of all."""
        spec = self.composer.spec
        shapes = (row.clean.shape, row.text.prompt.shape, row.text.prefix.shape)
        words = (spec.max_tokens, spec.model.text_width)
        mine = ((len(spec.tracks), spec.window_frames, spec.model.latent_channels), words, words)
        require(shapes == mine, 'row: shapes', shapes, f'are {mine}')

    def _slots_of(self, solver: str) -> Slots:
        if solver not in self._by_solver:
            spec = self.composer.spec
            run = functools.partial(
                step,
                self._params,
                model=UNet(spec.model),
                diffusion=spec.diffusion,
                stepper=make_stepper(solver, spec),
            )
            self._by_solver[solver] = Slots(self.slots, run, self._changed)
        return self._by_solver[solver]

    def _work(self) -> None:
        """What the thread does: a step of each solver in turn, as long as there is work."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._busy)
                in_turn: list[Slots] = list(self._by_solver.values())
                if self._ended:
                    for slots in in_turn:
                        slots.end_all(Closed())
                    return
            for slots in in_turn:
                slots.turn()

    @property
    def _busy(self) -> bool:
        return any(slots.works or slots.waiting for slots in self._by_solver.values())


class _Counter:
    """Counts the steps of all windows of a request, and the time that they take."""

    def __init__(self, num_steps: int, on_progress: Callable[[StepProgress], None] | None) -> None:
        self._num_steps = num_steps
        self._on_progress = on_progress
        self._before = 0  # steps of the windows that are done
        self._total = 0
        self._first: tuple[int, float] | None = None  # a number of steps, and when they were done

    def windows(self, done: int, total: int) -> None:
        self._before, self._total = done * self._num_steps, total * self._num_steps
        if done == 0:
            self._tell(0, None)

    def step(self, number: int) -> None:
        done, now = self._before + number, time.monotonic()
        if self._first is None:
            self._first = (done, now)
        counted, since = done - self._first[0], now - self._first[1]
        left_s = since / counted * (self._total - done) if counted else None
        self._tell(done, 0.0 if done == self._total else left_s)

    def _tell(self, done: int, left_s: float | None) -> None:
        if self._on_progress is not None:
            self._on_progress(StepProgress(done=done, total=self._total, left_s=left_s))
