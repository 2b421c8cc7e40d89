"""The two programs of a training run, placed on a mesh: one makes its state, one takes its steps.

A `Recipe` is all that they are made of, and knows no data, no folder and no loop: it can be
compiled for devices that are not there.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import optax
from jax.sharding import NamedSharding

from jen1composer.sharding.layout import Layout, Whole
from jen1composer.training.state import PyTree, TrainState, initial_state
from jen1composer.training.step import LossFn, make_train_step


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a state and its step are made of.

    `init_params` returns the parameters boxed with their logical axes. The networks in it and in
    `loss_fn` have the same layout, or none.
    """

    init_params: Callable[[], PyTree]
    loss_fn: LossFn
    optimizer: optax.GradientTransformation
    ema_decay: float
    layout: Layout
    networks: Sequence[str] = ()  # see `make_train_step`
    accumulate: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What a recipe comes to."""

    abstract: TrainState  # shapes and dtypes with their shardings
    batch: NamedSharding  # of every array of a batch
    left_whole: Sequence[Whole]  # weights that each device holds, see `Layout.left_whole`
    begin: Callable[[], TrainState]  # jitted: each weight is born where it will live
    step: Any  # jitted: (state, batch) -> (state, metrics), donates the state


def make_program(recipe: Recipe) -> Program:
    """Nothing is allocated or compiled yet; raises BadInput where the layout does not fit."""

    def fresh() -> TrainState:
        return initial_state(recipe.init_params, recipe.optimizer)

    layout, boxed = recipe.layout, jax.eval_shape(fresh)
    shardings = layout.state(boxed)
    abstract = jax.tree.map(
        lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place),
        nn.unbox(boxed),
        shardings,
    )
    step = make_train_step(
        recipe.loss_fn, recipe.optimizer, recipe.ema_decay, recipe.networks, recipe.accumulate
    )
    return Program(
        abstract=abstract,
        batch=layout.batch,
        left_whole=layout.left_whole(boxed.params),
        begin=jax.jit(lambda: nn.unbox(fresh()), out_shardings=shardings),
        step=jax.jit(
            step,
            in_shardings=(shardings, layout.batch),
            out_shardings=(shardings, None),
            donate_argnums=0,
        ),
    )
