"""The training state: everything a step reads and writes, as one pytree."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

PyTree = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """Parameters with what the optimiser and the moving average remember of them.

    The data position is not here: example i of step s has index s x global batch + i, so `step` is
    the position, and all randomness is keyed by it or by the index.
    """

    step: jax.Array  # [] int32, steps done
    params: PyTree  # float32
    opt_state: PyTree
    ema: PyTree  # moving average of params, what is sampled from and exported


def initial_state(
    init_params: Callable[[], PyTree], optimizer: optax.GradientTransformation
) -> TrainState:
    """The state at step 0; pure, so that it can be traced, shaped (`eval_shape`) and sharded."""
    params = init_params()
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=optimizer.init(params),
        ema=jax.tree.map(jnp.copy, params),  # a copy: both are donated to the step
    )


def parameter_count(params: PyTree) -> int:
    """How many numbers a tree of parameters (or of their shapes) holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def parameter_path(path: Sequence[Any]) -> tuple[str, ...]:
    """The names of modules down to a parameter, and its own, of its key path in a tree.

    The same whether or not it lies in a box with its logical axes.
    """
    return tuple(key.key for key in path if isinstance(key, jax.tree_util.DictKey))


def parameter_name(path: Sequence[Any]) -> str:
    """The same as one name, such as 'up_0_residual_0/film/kernel'."""
    return '/'.join(parameter_path(path))
