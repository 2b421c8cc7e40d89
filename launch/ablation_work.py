"""A cell's work, and what a grid will cost before any of it is done.

For each variant that has work left a few steps of a fresh state are timed. The cost of its cells:

(1) seconds = compiling / seeds + steps x seconds a step + measuring
(2) measuring = forwards x (seconds a step / batch) / 3, of which a gradient is two thirds

What is compiled for the timing is kept in the compilation cache, so the work finds it there.
"""

import dataclasses
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax

from jen1composer.errors import require
from jen1composer.training.metrics import read_metrics
from jen1composer.training.program import make_program
from jen1composer.training.run import run_training
from jen1composer.training.state import parameter_count
from launch.ablation_grid import Cell, Subject, known

TIMED_STEPS = 5
Progress = Callable[[Iterable[int], str], Iterable[int]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price:
    """What a variant costs.

    Attributes:
        variant: its name.
        cells: how many are left to do; `done` are kept.
        parameters: of its network.
        steps: of each training.
        step_s, compile_s: measured, in seconds.
        seconds: of all that is left, estimated.
    """

    variant: str
    cells: int
    done: int
    parameters: int
    steps: int
    step_s: float
    compile_s: float
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
        found.append(_price(name, left, len(of) - len(left), subject))
    return found


def _price(variant: str, left: Sequence[Cell], done: int, subject: Subject) -> Price:
    nothing = Price(
        variant=variant, cells=0, done=done, parameters=0, steps=0, step_s=0, compile_s=0, seconds=0
    )
    if not left:
        return nothing
    cell = left[0]
    run = subject.run(cell.config, cell.seed)
    program, began = make_program(run.recipe), time.perf_counter()
    with jax.set_mesh(run.recipe.layout.mesh):
        batch = jax.device_put(next(iter(run.batches(0))), program.batch)
        state, _ = jax.block_until_ready(program.step(program.begin(), batch))
        compile_s, began = time.perf_counter() - began, time.perf_counter()
        for _ in range(TIMED_STEPS):
            state, _ = program.step(state, batch)
        jax.block_until_ready(state)
    step_s = (time.perf_counter() - began) / TIMED_STEPS
    steps, each = run.loop.total_steps, step_s / cell.config.batch / 3
    seconds = compile_s + sum(steps * step_s + subject.forwards(c.config) * each for c in left)
    return dataclasses.replace(
        nothing,
        cells=len(left),
        parameters=parameter_count(program.abstract.params),
        steps=steps,
        step_s=step_s,
        compile_s=compile_s,
        seconds=seconds,
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
