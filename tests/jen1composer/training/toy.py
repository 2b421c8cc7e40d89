"""A training run small enough to be started a dozen times: one vector that learns to add.

It goes through the real step, loop, checkpoints and metrics; only the network is missing.

    python -m tests.jen1composer.training.toy FOLDER TOTAL_STEPS SAVE_EVERY_S

prints each step it takes; where a signal stopped it, it ends as a command does.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jen1composer.sharding.layout import Layout
from jen1composer.sharding.mesh import MeshShape, make_mesh
from jen1composer.sharding.rules import Rules
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.loop import Interrupted, LoopConfig, train
from jen1composer.training.metrics import MetricsFile
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.program import Recipe
from jen1composer.training.run import Run
from jen1composer.training.state import TrainState, initial_state
from jen1composer.training.step import make_train_step

IDENTITY = {'model.width': 5, 'seed': 0}
OPTIMIZER = make_optimizer(OptimizerConfig(peak_learning_rate=0.1, total_steps=40, warmup_steps=2))


def init_params() -> dict[str, jax.Array]:
    return {'w': jnp.arange(15.0).reshape(3, 5), 'b': jnp.ones(5)}


def loss_fn(params, batch, step):
    del step
    error = jnp.square(batch @ params['w'] + params['b'])
    return jnp.mean(error), {'largest': jnp.max(error)}


def fresh_state() -> TrainState:
    return initial_state(init_params, OPTIMIZER)


def make_step():
    return jax.jit(make_train_step(loss_fn, OPTIMIZER, 0.9), donate_argnums=0)


def batch_of(step: int) -> np.ndarray:
    return np.random.default_rng(step).normal(size=(4, 3)).astype(np.float32)


def run(
    folder: epath.PathLike,
    total_steps: int,
    *,
    identity: Mapping[str, Any] = IDENTITY,
    batch: Callable[[int], np.ndarray] = batch_of,
    step=None,
    save_every_s: float = 0.0,
    log_every: int = 3,
    evaluate_every: int = 4,
    prefetch: bool = False,
    **given: Any,
) -> TrainState:
    """Trains in `folder` from where it stands to `total_steps`; `batch(s)` is asked once a step.

    With `prefetch` it is asked while the step before runs. What is `given` is `train`'s.
    """
    folder = epath.Path(folder)
    checkpoints = Checkpoints(folder / 'state', identity=identity, save_every_s=save_every_s)
    state = fresh_state()
    if checkpoints.latest_step() is not None:
        state = checkpoints.restore(jax.eval_shape(fresh_state))

    def batches(first: int) -> Iterator[np.ndarray]:
        for number in range(first, total_steps):
            yield batch(number)

    try:
        return train(
            state,
            config=LoopConfig(
                total_steps=total_steps,
                log_every=log_every,
                evaluate_every=evaluate_every,
                prefetch=prefetch,
            ),
            step=step or make_step(),
            batches=batches,
            checkpoints=checkpoints,
            metrics_file=MetricsFile(folder / 'metrics.jsonl', first_step=int(state.step)),
            evaluate=lambda state: {'mean': jnp.mean(state.ema['w'])},
            **given,
        )
    finally:
        checkpoints.close()


def whole_run(total_steps: int, **loop: Any) -> Run:
    """The same for `run_training`, on one device; it takes milliseconds to compile."""
    settings = {'log_every': 3, 'evaluate_every': 4, 'save_every_s': 1e9, **loop}
    return Run(
        recipe=Recipe(
            init_params=init_params,
            loss_fn=loss_fn,
            optimizer=OPTIMIZER,
            ema_decay=0.9,
            layout=Layout(mesh=make_mesh(MeshShape(), jax.devices()[:1]), rules=Rules()),
        ),
        batches=lambda first: map(batch_of, range(first, total_steps)),
        identity=IDENTITY,
        loop=LoopConfig(total_steps=total_steps, **settings),
    )


def leaves(state: TrainState) -> dict[str, np.ndarray]:
    """Every leaf by name, for bit-wise comparison."""
    named = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in named}


def assert_bit_equal(found: TrainState, expected: TrainState) -> None:
    a, b = leaves(found), leaves(expected)
    assert a.keys() == b.keys()
    for name, leaf in b.items():
        assert a[name].dtype == leaf.dtype, name
        assert a[name].tobytes() == leaf.tobytes(), name


def _slow_batch(step: int) -> np.ndarray:
    print(step, flush=True)
    time.sleep(0.05)
    return batch_of(step)


if __name__ == '__main__':
    try:
        run(sys.argv[1], int(sys.argv[2]), batch=_slow_batch, save_every_s=float(sys.argv[3]))
    except Interrupted as stopped:
        print(stopped, flush=True)
        sys.exit(stopped.exit_status)
