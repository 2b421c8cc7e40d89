"""The training loop.

The order inside is what makes a resume exact: evaluate, save, and only then take the next batch. At
a save, `state.step` batches have been used, so `batches(state.step)` goes on where the run was.

When to save is decided by the clock and the signals of this process: it is a loop for one host.
"""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import jax
import numpy as np

from jen1composer.errors import RunFailed, require
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.metrics import MetricsFile
from jen1composer.training.state import TrainState
from jen1composer.training.step import StepFn

Batches = Callable[[int], Iterator[Any]]  # first step -> batches from there on
Evaluate = Callable[[TrainState], Mapping[str, Any]]


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came; what was done is saved."""

    def __init__(self, step: int):
        super().__init__(f'interrupted at step {step}; the same command goes on from there')
        self.step = step


class NotFinite(RunFailed):
    """The loss or another metric became NaN or infinite; nothing was saved since."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    total_steps: int
    log_every: int = 50
    evaluate_every: int = 500
    save_every_s: float = 300.0

    def __post_init__(self) -> None:
        for name in ('total_steps', 'log_every', 'evaluate_every'):
            value = getattr(self, name)
            require(value >= 1, f'loop.{name}', value, 'is 1 or more')
        require(self.save_every_s >= 0, 'loop.save_every_s', self.save_every_s, 'is 0 or more')


def train(
    state: TrainState,
    *,
    config: LoopConfig,
    step: StepFn,
    batches: Batches,
    checkpoints: Checkpoints,
    metrics_file: MetricsFile,
    evaluate: Evaluate | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda steps: steps,
) -> TrainState:
    """Runs `step` (jitted, donating its state) from `state.step` to `config.total_steps`.

    Args:
        state: where to start, placed on the devices.
        config: how long, and how often what is done.
        step: `(state, batch) -> (state, metrics)`.
        batches: `batches(s)` yields the batches of steps s, s + 1, ..., placed on the devices.
        checkpoints: where the state is saved, by time and at the end.
        metrics_file: gets the mean of each metric over `log_every` steps, and what `evaluate` says.
        evaluate: `state -> values`, before step 0 and every `evaluate_every` steps and at the end.
        progress: wraps the steps to show them.

    Raises:
        NotFinite: a metric was NaN or infinite; the bad state is not saved.
        Interrupted: a signal came; the state was saved.
    """
    first = int(state.step)
    window: list[Mapping[str, jax.Array]] = []
    began = time.monotonic()
    waited = 0.0

    def flush(done: int) -> None:
        nonlocal began, waited
        if not window:
            return
        rows = jax.device_get(window)
        for number, row in enumerate(rows, start=done - len(rows) + 1):
            bad = [f'{name} became {row[name]}' for name in row if not np.isfinite(row[name]).all()]
            if bad:
                raise NotFinite(
                    f'in step {number}: {", ".join(bad)}; what was saved before stays, '
                    'a lower optimizer.peak_learning_rate may help'
                )
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        elapsed = time.monotonic() - began
        timing = {'step_s': elapsed / len(rows), 'data_wait_s': waited / len(rows)}
        metrics_file.write(done, means | timing)
        window.clear()
        began, waited = time.monotonic(), 0.0

    def report(done: int) -> None:
        if evaluate is not None:
            metrics_file.write(done, evaluate(state))

    data = batches(first)
    with _StopSignal() as stop:
        for number in progress(range(first, config.total_steps)):
            if number % config.evaluate_every == 0 and (number > first or number == 0):
                flush(number)
                report(number)
                began = time.monotonic()
            if number > first and (checkpoints.due() or stop.received):
                flush(number)
                checkpoints.save(number, state)
            if stop.received:
                checkpoints.close()
                raise Interrupted(number)
            asked = time.monotonic()
            batch = next(data)
            waited += time.monotonic() - asked
            state, metrics = step(state, batch)
            window.append(metrics)
            if (number + 1) % config.log_every == 0:
                flush(number + 1)
        flush(config.total_steps)
        checkpoints.save(config.total_steps, state)
        if stop.received:
            checkpoints.close()
            raise Interrupted(config.total_steps)
    if first < config.total_steps:
        report(config.total_steps)
    return state


class _StopSignal:
    """Notes SIGINT and SIGTERM instead of dying of them; a second one kills as usual."""

    def __init__(self) -> None:
        self.received = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> '_StopSignal':
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = True
        signal.signal(number, self._previous[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
