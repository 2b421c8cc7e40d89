"""One training run from its parts: placed, resumed or begun, stepped, saved.

Both stages, autoencoder and composer, are this with another loss and other batches.
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from etils import epath

from jen1composer.training import hosts
from jen1composer.training.checkpoints import Checkpoints, Identity
from jen1composer.training.files import in_bucket, write_whole
from jen1composer.training.goodput import Goodput
from jen1composer.training.loop import Batches, Demo, Evaluate, LoopConfig, train
from jen1composer.training.memory import memory_limit, require_state_fits, step_memory
from jen1composer.training.metrics import read_metrics
from jen1composer.training.profiling import Profile
from jen1composer.training.program import Program, Recipe, make_program
from jen1composer.training.speed import Flops, speed_here
from jen1composer.training.state import PyTree, TrainState
from jen1composer.training.step import Metrics, StepFn
from jen1composer.training.warm_start import warm_start
from jen1composer.training.watchdog import StepEnds
from jen1composer.training.writers import open_writers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is made of.

    `batches(step)` yields this host's batches as numpy arrays from a step on; `identity` is what
    must not change on a resume, but for keys that begin with one of `may_change`; `data` is JSON
    that is saved along. `saved` are weights, numpy arrays, that it begins with where they fit;
    `flops` is what a step takes, where it is known.
    """

    recipe: Recipe
    batches: Batches
    identity: Identity
    loop: LoopConfig
    data: Any = None
    may_change: Sequence[str] = ()
    saved: PyTree = None
    flops: Flops | None = None


def run_training(
    run: Run,
    workdir: epath.PathLike,
    *,
    evaluate: Evaluate | None = None,
    demo: Demo | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda steps: steps,
) -> TrainState:
    """Trains in `workdir` (checkpoints/, metrics.jsonl), from its newest checkpoint if any.

    What there is to say goes to stderr, and beside metrics.jsonl to goodput.jsonl, stacks.txt,
    profile/ and hlo.txt; with several hosts the first one does all of it but stacks and profiles.
    With `loop.synthetic_batches` steps are only timed, from a fresh state on: all of it goes to
    WORKDIR/synthetic, nothing is saved, evaluated or made to hear, and the run itself stays as it
    is.

    Raises BadInput where the workdir belongs to another config or a writer is not there,
    OutOfMemory where a step does not fit, and what `loop.train` raises.
    """
    began, workdir, first_host = time.time(), epath.Path(workdir), jax.process_index() == 0
    config, mesh = run.loop, run.recipe.layout.mesh

    def say(line: str) -> None:
        if first_host:
            print(line, file=sys.stderr, flush=True)

    if config.synthetic_batches:
        workdir, evaluate, demo = workdir / 'synthetic', None, None
        say(f'synthetic batches: steps are timed from a fresh state, see {workdir}; none is saved')

    # ---- Shapes, placement and programs: nothing is allocated yet.
    program = make_program(run.recipe)
    if program.left_whole:
        say(left_whole_line(program))
    require_state_fits(program.abstract, memory_limit(jax.local_devices()[0]))

    # ---- Begin, or go on: each weight is born, or read, where it will live.
    checkpoints = Checkpoints(
        workdir / 'checkpoints',
        identity=run.identity,
        data=run.data,
        may_change=run.may_change,
        save_every_s=config.save_every_s,
        keep=config.keep,
        keep_every_steps=config.keep_every_steps,
    )
    if config.synthetic_batches or checkpoints.latest_step() is None:
        state = program.begin()
        if run.saved is not None:
            params, ema = (warm_start(tree, run.saved)[0] for tree in (state.params, state.ema))
            state = dataclasses.replace(state, params=params, ema=ema)
    else:
        state = checkpoints.restore(program.abstract)
    first = int(state.step)

    def place(batch: Any) -> Any:
        with jax.transfer_guard('allow'):  # of several hosts the guard takes it for an accident
            return jax.tree.map(
                lambda leaf: jax.make_array_from_process_local_data(program.batch, leaf), batch
            )

    # ---- What is written beside the metrics.
    ended = first < config.total_steps or evaluate is None or was_evaluated(workdir, first)
    writer = open_writers(workdir, config.writers, first)
    accounted = first_host and first < config.total_steps and not config.synthetic_batches
    record = workdir / 'goodput.jsonl' if accounted else None
    goodput = Goodput(record, first_step=first, began=began)

    # ---- The loop.
    with jax.set_mesh(mesh), checkpoints:
        state = train(
            state,
            config=config,
            step=compiled_once(program.step, config, workdir if first_host else None, say),
            batches=run.batches,
            checkpoints=checkpoints,
            metrics_file=writer,
            evaluate=evaluate,
            demo=demo,
            progress=progress if first_host else lambda steps: steps,
            place=place,
            speed=functools.partial(speed_here, run.flops, mesh),
            goodput=goodput,
            ends=StepEnds(_stacks(workdir), config.watchdog_s),
            profile=Profile(
                workdir / 'profile', config.profile_from, config.profile_steps, begun=first
            ),
            ended=ended,
        )
    if record is not None:
        say(goodput.line())
    return state


def was_evaluated(workdir: epath.Path, step: int) -> bool:
    """Whether the metrics hold what was evaluated after `step` steps, as the first host sees it.

    A row of it says nothing of the time that steps took. Demos are made before it is written.
    """
    rows = read_metrics(workdir / 'metrics.jsonl') if jax.process_index() == 0 else []
    found = any(row['step'] == step and 'step_s' not in row for row in rows)
    return hosts.agree(found, 0)[0]


def compiled_once(
    step: Any, config: LoopConfig, workdir: epath.Path | None, say: Callable[[str], None]
) -> StepFn:
    """`step`, compiled at its first call for what it is called with.

    Says then what it needs of a device's memory, and raises OutOfMemory where it is not there.
    """
    compiled: Any = None

    def call(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        nonlocal compiled
        if compiled is None:
            compiled = step.lower(state, batch).compile()
            needed = step_memory(compiled, state, batch, batches=1 + config.prefetch)
            needed.require_at_most(memory_limit(jax.local_devices()[0]))
            say(needed.line())
            if config.dump_hlo and workdir is not None:
                write_whole(workdir / 'hlo.txt', compiled.as_text().encode())
        return compiled(state, batch)

    return call


def left_whole_line(program: Program, most: int = 3) -> str:
    """The weights that every device holds whole, though they are large enough to be split."""
    whole = program.left_whole
    shown = ', '.join(f'{w.name} {w.num_bytes / 2**20:.1f} MiB' for w in whole[:most])
    total = sum(w.num_bytes for w in whole) / 2**20
    more = ', ...' if len(whole) > most else ''
    return f'left whole on each device: {len(whole)} weights of {total:.1f} MiB: {shown}{more}'


def _stacks(workdir: epath.Path) -> epath.Path | None:
    """Where stacks go, a file for each host; None where the workdir is not on this machine."""
    if in_bucket(workdir):
        return None
    host = f'-{jax.process_index()}' if jax.process_count() > 1 else ''
    return workdir / f'stacks{host}.txt'
