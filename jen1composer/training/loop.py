"""The training loop, from top to bottom.

The order inside is what makes a resume exact: evaluate, save, and only then use the next batch. At
a save, `state.step` batches have been used, so `batches(state.step)` goes on where the run was.

Steps are dispatched and not waited for: the devices are waited for where metrics are read, every
`log_every` steps, and where the state is needed, to evaluate and to save. Nothing moves between
host and devices inside but what is said to: a batch on its way in, metrics on their way out.

Several hosts run the same loop in step: what depends on a clock or on a signal is agreed upon
(`training.hosts`), all else depends on the step alone.
"""

import contextlib
import dataclasses
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from jen1composer.errors import RunFailed, require
from jen1composer.training import hosts
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.goodput import Goodput
from jen1composer.training.metrics import Writer
from jen1composer.training.prefetch import Prefetch, repeated
from jen1composer.training.profiling import NO_PROFILE, Profile
from jen1composer.training.signals import Signals
from jen1composer.training.state import TrainState
from jen1composer.training.step import StepFn
from jen1composer.training.watchdog import StepEnds

Batches = Callable[[int], Iterator[Any]]  # first step -> batches from there on
Evaluate = Callable[[TrainState], Mapping[str, Any]]
Demo = Callable[[int, TrainState], None]


class Interrupted(KeyboardInterrupt):
    """SIGINT came; what was done is saved."""

    exit_status = 128 + signal.SIGINT

    def __init__(self, step: int, saved: bool = True):
        after = 'the same command goes on from there' if saved else 'nothing is saved'
        super().__init__(f'interrupted at step {step}; {after}')
        self.step = step


class Preempted(Interrupted):
    """SIGTERM came: whoever takes the machine away starts the command again elsewhere."""

    exit_status = 0  # nothing failed


class NotFinite(RunFailed):
    """The loss or another metric became NaN or infinite; nothing was saved since."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoopConfig:
    # how long, how often
    total_steps: int
    log_every: int = 50
    evaluate_every: int = 500
    save_every_s: float = 300.0
    keep: int = 2  # newest checkpoints
    keep_every_steps: int = 0  # steps between those that are kept for ever; 0: none
    demo_every: int = 0  # 0: never
    agree_every: int = 10  # steps between the agreements of several hosts

    # batches
    prefetch: bool = True  # one batch is placed on the devices while a step runs
    synthetic_batches: bool = False  # the first one again and again, to time steps; unsaved

    # what is written down
    writers: tuple[str, ...] = ()  # beside metrics.jsonl: tensorboard, wandb
    watchdog_s: float = 1800.0  # stacks go to WORKDIR/stacks.txt where no step ends; 0: never
    profile_from: int = 0
    profile_steps: int = 0  # 0: none, but for SIGUSR1
    dump_hlo: bool = False  # the compiled step, to WORKDIR/hlo.txt

    def __post_init__(self) -> None:
        for name in ('total_steps', 'log_every', 'evaluate_every', 'keep', 'agree_every'):
            value = getattr(self, name)
            require(value >= 1, f'loop.{name}', value, 'is 1 or more')
        for name in (
            'save_every_s',
            'keep_every_steps',
            'demo_every',
            'watchdog_s',
            'profile_from',
            'profile_steps',
        ):
            value = getattr(self, name)
            require(value >= 0, f'loop.{name}', value, 'is 0 or more')


def train(
    state: TrainState,
    *,
    config: LoopConfig,
    step: StepFn,
    batches: Batches,
    checkpoints: Checkpoints,
    metrics_file: Writer,
    evaluate: Evaluate | None = None,
    demo: Demo | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda steps: steps,
    place: Callable[[Any], Any] = jax.device_put,
    speed: Callable[[float], Mapping[str, Any]] = lambda step_s: {},
    goodput: Goodput | None = None,
    ends: StepEnds | None = None,
    profile: Profile = NO_PROFILE,
    ended: bool = True,
) -> TrainState:
    """Runs `step` (jitted, donating its state) from `state.step` to `config.total_steps`.

    Args:
        state: where to start, placed on the devices.
        config: how long, and how often what is done.
        step: `(state, batch) -> (state, metrics)`.
        batches: `batches(s)` yields the batches of steps s, s + 1, ..., as `place` takes them.
        checkpoints: where the state is saved, by time and at the end.
        metrics_file: gets the mean of each metric over `log_every` steps, and what `evaluate` says.
        evaluate: `state -> values`, before step 0 and every `evaluate_every` steps and at the end.
        demo: `(step, state)`, every `demo_every` steps and at the end; makes something to hear.
        progress: wraps the steps to show them.
        place: puts a batch on the devices.
        speed: what a mean step of so many seconds comes to, written beside the metrics.
        goodput: where the wall time goes.
        ends: is told of each step.
        profile: is told of each step.
        ended: where there is no step left, whether the end was evaluated; else it is now.

    Raises:
        NotFinite: a metric was NaN or infinite; the bad state is not saved.
        Interrupted: a signal came; the state was saved. Preempted, if it was SIGTERM.
    """
    first, total = int(state.step), config.total_steps
    goodput = goodput or Goodput(None, first_step=first)
    ends = ends or StepEnds()
    window: list[Mapping[str, jax.Array]] = []
    saves = not config.synthetic_batches
    spent = {'step': 0.0, 'data_wait': 0.0}  # seconds since metrics were written

    # ---- What is written: the devices are waited for here.

    def account(done: int) -> None:
        for kind, seconds in goodput.row(done).items():
            if kind in spent:
                spent[kind] += seconds

    def flush(done: int) -> None:
        if not window:
            return
        rows = hosts.fetch(window)
        for number, row in enumerate(rows, start=done - len(rows) + 1):
            bad = [f'{name} became {row[name]}' for name in row if not np.isfinite(row[name]).all()]
            if bad:
                raise NotFinite(
                    f'in step {number}: {", ".join(bad)}; what was saved before stays, '
                    'a lower optimizer.peak_learning_rate may help'
                )
        account(done)
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        step_s = sum(spent.values()) / len(rows)
        timing = {'step_s': step_s, 'data_wait_s': spent['data_wait'] / len(rows)}
        metrics_file.write(done, {**means, **timing, **speed(step_s), **goodput.values()})
        window.clear()
        spent.update(dict.fromkeys(spent, 0.0))

    # ---- What needs the state: it moves as it likes.

    def evaluated(done: int) -> None:
        with goodput.spend('evaluate'), jax.transfer_guard('allow'):
            due = done % config.evaluate_every == 0 or done == total
            values = evaluate(state) if evaluate is not None and due else None
            if demo is not None and demo_due(done, config):
                demo(done, state)
            if values is not None:  # last: where there is this row, all was done
                metrics_file.write(done, values)

    def save(done: int) -> None:
        if not saves:
            return
        with goodput.spend('save'), jax.transfer_guard('allow'):
            checkpoints.save(done, state)

    def stopped(done: int, number: int) -> Interrupted:
        with goodput.spend('save'):
            checkpoints.close()
        goodput.row(done)
        kind = Preempted if number == signal.SIGTERM else Interrupted
        return kind(done, saved=saves)

    # ---- The steps. DO NOT change the order of what happens in one: see the module docstring.
    with contextlib.ExitStack() as stack:
        stop = stack.enter_context(Signals())
        stack.enter_context(ends)
        stack.enter_context(profile)
        host_batches = batches(first)
        if config.synthetic_batches and first < total:
            host_batches = repeated(host_batches)
        data = Prefetch(host_batches, place)
        stack.enter_context(jax.transfer_guard('disallow'))

        for number in progress(range(first, total)):
            # Evaluate.
            due = number % config.evaluate_every == 0 or demo_due(number, config)
            if due and (number > first or number == 0):
                flush(number)
                evaluated(number)

            # Save, and stop; all hosts do or none does.
            by_clock, signal_number = checkpoints.due(), stop.received
            if jax.process_count() == 1 or number % config.agree_every == 0:
                by_clock, signal_number = hosts.agree(by_clock, signal_number)
            else:  # on others nobody asks, and what one host sees alone has to wait
                by_clock, signal_number = False, 0
            save_now = saves and (by_clock or checkpoints.is_permanent(number))
            if number > first and (save_now or signal_number):
                flush(number)
                save(number)
            if signal_number:
                raise stopped(number, signal_number)

            # Only then use the next batch.
            profile.before(number, state)
            asked = ends.now()
            batch = data.take()
            goodput.add('data_wait', ends.idle_s(asked))
            with goodput.spend('compile') if number == first else contextlib.nullcontext():
                state, metrics = step(state, batch)
            ends.started(metrics)
            window.append(metrics)
            if config.prefetch and number + 1 < total:
                asked = ends.now()
                data.place_next()
                goodput.add('data_wait', ends.idle_s(asked))
            if (number + 1) % config.log_every == 0:
                flush(number + 1)

        # ---- The end.
        flush(total)
        save(total)
        _, signal_number = hosts.agree(False, stop.received)
        if signal_number:
            raise stopped(total, signal_number)
        if first < total or not ended:  # else it was stopped between the save and this
            evaluated(total)
    goodput.row(total)
    return state


def demo_due(done: int, config: LoopConfig) -> bool:
    """Whether there is something to be heard after `done` steps."""
    every = config.demo_every
    return every > 0 and done > 0 and (done % every == 0 or done == config.total_steps)
