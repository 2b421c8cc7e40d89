"""One training run from its parts: placed, resumed or begun, stepped, saved.

Both stages, autoencoder and composer, are this with another loss and other batches.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import optax
from etils import epath
from jax.sharding import Mesh

from jen1composer.sharding.rules import Rules, batch_sharding, state_shardings
from jen1composer.training.checkpoints import Checkpoints, Identity
from jen1composer.training.loop import Batches, Evaluate, LoopConfig, train
from jen1composer.training.metrics import MetricsFile
from jen1composer.training.state import PyTree, TrainState, initial_state
from jen1composer.training.step import LossFn, make_train_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is made of.

    `init_params` returns the parameters boxed with their logical axes; `batches(step)` yields this
    host's batches as numpy arrays from a step on; `identity` is what must not change on a resume,
    but for keys that begin with one of `may_change`; `data` is JSON that is saved along.
    """

    init_params: Callable[[], PyTree]
    loss_fn: LossFn
    optimizer: optax.GradientTransformation
    ema_decay: float
    batches: Batches
    identity: Identity
    mesh: Mesh
    rules: Rules
    loop: LoopConfig
    data: Any = None
    may_change: Sequence[str] = ()
    networks: Sequence[str] = ()  # see `make_train_step`


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

    # ---- Shapes and placement: nothing is allocated yet.
    boxed = jax.eval_shape(lambda: initial_state(run.init_params, run.optimizer))
    shardings = state_shardings(boxed, run.mesh, run.rules)
    abstract = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        nn.unbox(boxed),
        shardings,
    )

    # ---- Begin, or go on: each weight is born, or read, where it will live.
    checkpoints = Checkpoints(
        workdir / 'checkpoints',
        identity=run.identity,
        data=run.data,
        may_change=run.may_change,
        save_every_s=run.loop.save_every_s,
    )
    if checkpoints.latest_step() is None:
        begin = jax.jit(
            lambda: nn.unbox(initial_state(run.init_params, run.optimizer)),
            out_shardings=shardings,
        )
        state = begin()
    else:
        state = checkpoints.restore(abstract)

    # ---- The step: one program, its state donated.
    placement = batch_sharding(run.mesh, run.rules)
    step = jax.jit(
        make_train_step(run.loss_fn, run.optimizer, run.ema_decay, run.networks),
        in_shardings=(shardings, placement),
        out_shardings=(shardings, None),
        donate_argnums=0,
    )

    def placed(first_step: int) -> Iterator[Any]:
        for batch in run.batches(first_step):
            yield jax.tree.map(
                lambda leaf: jax.make_array_from_process_local_data(placement, leaf), batch
            )

    # ---- The loop.
    with jax.set_mesh(run.mesh):
        state = train(
            state,
            config=run.loop,
            step=step,
            batches=placed,
            checkpoints=checkpoints,
            metrics_file=MetricsFile(workdir / 'metrics.jsonl', first_step=int(state.step)),
            evaluate=evaluate,
            progress=progress,
        )
    checkpoints.close()
    return state
