"""Some parameters train, the others are frozen.

A parameter trains where a regular expression is found in its name, such as 'mid/attention/kernel'.
For the others

(1) the loss is of stop_gradient(parameter): its gradient is 0 and costs nothing, and the norm of
    the gradient, by which it is clipped, is that of what trains;
(2) the optimiser keeps nothing for it, and its update is 0, so that it and its moving average,
    which began alike, stay what they were.
"""

import re
from typing import Any

import jax
import optax

from jen1composer.errors import BadInput
from jen1composer.training.state import PyTree, parameter_name
from jen1composer.training.step import LossFn, Metrics

TRAINED, FROZEN = 'trained', 'frozen'


def freeze_loss(loss_fn: LossFn, trainable: str) -> LossFn:
    """Equation (1); `trainable` is the regular expression, and '' freezes nothing."""
    if not trainable:
        return loss_fn

    def frozen(params: PyTree, batch: Any, step: jax.Array) -> tuple[jax.Array, Metrics]:
        stopped = jax.tree.map(
            lambda leaf, label: leaf if label == TRAINED else jax.lax.stop_gradient(leaf),
            params,
            labels(params, trainable),
        )
        return loss_fn(stopped, batch, step)

    return frozen


def freeze_optimizer(
    optimizer: optax.GradientTransformation, trainable: str
) -> optax.GradientTransformation:
    """Equation (2); `optimizer` sees the parameters that train alone."""
    if not trainable:
        return optimizer
    return optax.partition(
        {TRAINED: optimizer, FROZEN: optax.set_to_zero()},
        lambda params: labels(params, trainable),
    )


def labels(params: PyTree, trainable: str) -> PyTree:
    """For each parameter TRAINED or FROZEN; raises BadInput where none of them trains."""
    try:
        pattern = re.compile(trainable)
    except re.error as error:
        raise BadInput(
            f'trainable: {trainable!r} ({error}); allowed is a regular expression'
        ) from error
    found = jax.tree_util.tree_map_with_path(
        lambda path, _: TRAINED if pattern.search(parameter_name(path)) else FROZEN,
        params,
    )
    if TRAINED not in jax.tree.leaves(found):
        first = parameter_name(jax.tree_util.tree_leaves_with_path(params)[0][0])
        raise BadInput(
            f'trainable: {trainable!r} names no parameter; allowed is a regular expression that is '
            f'found in names such as {first}'
        )
    return found
