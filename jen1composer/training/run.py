"""One training run from its parts: placed, resumed or begun, stepped, saved.

Both stages, autoencoder and composer, are this with another loss and other batches.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
from etils import epath

from jen1composer.training.checkpoints import Checkpoints, Identity
from jen1composer.training.loop import Batches, Evaluate, LoopConfig, train
from jen1composer.training.metrics import MetricsFile
from jen1composer.training.program import Recipe, make_program
from jen1composer.training.state import PyTree, TrainState
from jen1composer.training.warm_start import warm_start


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is made of.

    `batches(step)` yields this host's batches as numpy arrays from a step on; `identity` is what
    must not change on a resume, but for keys that begin with one of `may_change`; `data` is JSON
    that is saved along. `saved` are weights, numpy arrays, that it begins with where they fit.
    """

    recipe: Recipe
    batches: Batches
    identity: Identity
    loop: LoopConfig
    data: Any = None
    may_change: Sequence[str] = ()
    saved: PyTree = None


def run_training(
    run: Run,
    workdir: epath.PathLike,
    *,
    evaluate: Evaluate | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = lambda steps: steps,
) -> TrainState:
    """Trains in `workdir` (checkpoints/, metrics.jsonl), from its newest checkpoint if any.

    Raises BadInput where the workdir belongs to another config, and what `loop.train` raises.
    """
    workdir = epath.Path(workdir)

    # ---- Shapes, placement and programs: nothing is allocated yet.
    program = make_program(run.recipe)

    # ---- Begin, or go on: each weight is born, or read, where it will live.
    checkpoints = Checkpoints(
        workdir / 'checkpoints',
        identity=run.identity,
        data=run.data,
        may_change=run.may_change,
        save_every_s=run.loop.save_every_s,
    )
    if checkpoints.latest_step() is None:
        state = program.begin()
        if run.saved is not None:
            params, ema = (warm_start(tree, run.saved)[0] for tree in (state.params, state.ema))
            state = dataclasses.replace(state, params=params, ema=ema)
    else:
        state = checkpoints.restore(program.abstract)

    def placed(first_step: int) -> Iterator[Any]:
        for batch in run.batches(first_step):
            yield jax.tree.map(
                lambda leaf: jax.make_array_from_process_local_data(program.batch, leaf), batch
            )

    # ---- The loop.
    with jax.set_mesh(run.recipe.layout.mesh):
        state = train(
            state,
            config=run.loop,
            step=program.step,
            batches=placed,
            checkpoints=checkpoints,
            metrics_file=MetricsFile(workdir / 'metrics.jsonl', first_step=int(state.step)),
            evaluate=evaluate,
            progress=progress,
        )
    checkpoints.close()
    return state
