"""A cell's work, and what a grid will cost before any of it is done.

For each variant that has work left a few steps of a fresh state are timed. The cost of its cells:

(1) seconds = compiling once + cells x (steps x seconds a step + measuring)
(2) measuring = forwards x (seconds a step / batch) / 3, of which a gradient is two thirds

A forward pass is taken for a third of a step, which has the optimiser beside it: (2) is an upper
bound. What is compiled for the timing is kept in the compilation cache, so the work finds it there,
and what was timed in WORKDIR/timed.json, so that a grid that goes on begins at once.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jen1composer.errors import require
from jen1composer.training.files import write_whole
from jen1composer.training.metrics import read_metrics
from jen1composer.training.program import make_program
from jen1composer.training.run import Run, run_training
from jen1composer.training.state import parameter_count
from launch.ablation_grid import Cell, Subject, known

TIMED_STEPS = 5
Progress = Callable[[Iterable[int], str], Iterable[int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Timed:
    """What a training of a variant is, timed."""

    parameters: int
    steps: int
    step_s: float
    compile_s: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price(Timed):
    """What a variant costs: `cells` are left and take `seconds`, `done` are kept."""

    variant: str
    cells: int
    done: int
    seconds: float


def make_subject(name: str) -> Subject:
    """What is trained and measured; raises BadInput for a name that is not there."""
    require(name in ('synthetic', 'latents'), '--config.subject', name, 'are synthetic, latents')
    if name == 'synthetic':
        from launch.ablation_synthetic_run import SyntheticSubject

        return SyntheticSubject()
    from launch.ablation_latents import LatentsSubject

    return LatentsSubject()


def prices(
    cells: Sequence[Cell], subject: Subject, workdir: pathlib.Path, progress: Progress
) -> list[Price]:
    """What is left to pay of each variant, in the order of the cells."""
    by_variant: dict[str, list[Cell]] = {}
    for cell in cells:
        by_variant.setdefault(cell.variant, []).append(cell)
    found = []
    for number in progress(range(len(by_variant)), 'prices'):
        name, of = list(by_variant.items())[number]
        left = [cell for cell in of if known(cell, workdir) is None]
        found.append(_price(name, left, len(of) - len(left), subject, workdir / 'timed.json'))
    return found


def _price(
    variant: str, left: Sequence[Cell], done: int, subject: Subject, kept: pathlib.Path
) -> Price:
    timed, seconds = Timed(parameters=0, steps=0, step_s=0.0, compile_s=0.0), 0.0
    if left:
        cell = left[0]
        before = json.loads(kept.read_text()) if kept.exists() else {}
        if cell.training not in before:
            before[cell.training] = dataclasses.asdict(_time(subject.run(cell.config, cell.seed)))
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, (json.dumps(before, indent=1) + '\n').encode())
        timed = Timed(**before[cell.training])
        each = timed.step_s / cell.config.batch / 3  # (2)
        measuring = sum(subject.forwards(c.config) * each for c in left)
        seconds = timed.compile_s + len(left) * timed.steps * timed.step_s + measuring  # (1)
    return Price(
        variant=variant, cells=len(left), done=done, seconds=seconds, **dataclasses.asdict(timed)
    )


def _time(run: Run) -> Timed:
    """A few steps of a fresh state on one batch."""
    program, began = make_program(run.recipe), time.perf_counter()
    with jax.set_mesh(run.recipe.layout.mesh):
        batch = jax.device_put(next(iter(run.batches(0))), program.batch)
        state, _ = jax.block_until_ready(program.step(program.begin(), batch))
        compile_s, began = time.perf_counter() - began, time.perf_counter()
        for _ in range(TIMED_STEPS):
            state, _ = program.step(state, batch)
        jax.block_until_ready(state)
    return Timed(
        parameters=parameter_count(program.abstract.params),
        steps=run.loop.total_steps,
        step_s=(time.perf_counter() - began) / TIMED_STEPS,
        compile_s=compile_s,
    )


def finish(
    cell: Cell, subject: Subject, workdir: pathlib.Path, progress: Progress
) -> Mapping[str, Any]:
    """Trains a cell, from its checkpoint if there is one, and measures it."""
    run, folder = subject.run(cell.config, cell.seed), workdir / 'runs' / cell.run_name
    state = run_training(run, folder, progress=lambda steps: progress(steps, cell.variant))
    began = time.perf_counter()
    rows = subject.measure(cell.config, cell.seed, state.ema)
    timed = [row for row in read_metrics(folder / 'metrics.jsonl') if 'step_s' in row]
    return {
        'rows': rows,
        'parameters': parameter_count(state.params),
        'steps': int(state.step),
        'examples': int(state.step) * cell.config.batch,
        'step_s': sum(row['step_s'] for row in timed) / max(1, len(timed)),
        'measure_s': time.perf_counter() - began,
    }
