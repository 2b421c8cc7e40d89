"""Steps whose gradient is far larger than usual are left out.

With |g| the global norm of the gradient as it comes, before it is clipped, and m its running
average over the n steps before,

(1) skipped  =  n >= settled and not |g| <= factor x m / (1 - decay^n),   or |g| is not finite
(2) m' = decay m + (1 - decay) min(|g|, factor x m / (1 - decay^n)),  n' = n + 1

(3) where skipped, the update is 0 and the optimiser remembers nothing of the step: moments, decay
    of weights and its count of steps, by which the learning rate goes, stay as they were.

Until n = settled the minimum in (2) is |g|. Since what is skipped counts in (2) for as much as is
still allowed, the average follows a gradient that has grown for good, and the run goes on. What is
not finite counts for nothing.

A gradient that is not finite spoils no state, but the loop ends the run at it as ever
(`loop.NotFinite`): the loss is not finite either, and that is a fault to be seen, not a spike.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jen1composer.training.state import PyTree


class SpikesState(NamedTuple):
    """What is remembered from step to step, saved and resumed with the optimiser's own."""

    inner: PyTree
    average: jax.Array  # [] float32, m
    counted: jax.Array  # [] int32, n
    skipped: jax.Array  # [] int32, how many steps were left out


def skip_spikes(
    inner: optax.GradientTransformation,
    factor: float,
    *,
    decay: float = 0.99,
    settled: int = 100,
) -> optax.GradientTransformation:
    """`inner`, but for steps that are skipped by (1) to (3)."""

    def init(params: PyTree) -> SpikesState:
        return SpikesState(
            inner=inner.init(params),
            average=jnp.zeros(()),
            counted=jnp.zeros((), jnp.int32),
            skipped=jnp.zeros((), jnp.int32),
        )

    def update(
        grads: PyTree, state: SpikesState, params: PyTree | None = None
    ) -> tuple[PyTree, SpikesState]:
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(norm)
        corrected = state.average / jnp.maximum(1 - decay**state.counted, 1 - decay)
        allowed = jnp.where(state.counted >= settled, factor * corrected, jnp.inf)
        skip = ~finite | (norm > allowed)  # (1)
        average = decay * state.average + (1 - decay) * jnp.minimum(norm, allowed)  # (2)
        updates, stepped = inner.update(grads, state.inner, params)
        return _where(skip, jax.tree.map(jnp.zeros_like, updates), updates), SpikesState(
            inner=_where(skip, state.inner, stepped),  # (3)
            average=jnp.where(finite, average, state.average),
            counted=state.counted + finite,
            skipped=state.skipped + skip,
        )

    return optax.GradientTransformation(init, update)


def count_skipped(opt_state: PyTree) -> dict[str, jax.Array]:
    """`skipped`, how many steps were left out by all optimisers in it; empty where none does so."""
    found = [count for _, count in optax.tree.get_all_with_path(opt_state, 'skipped')]
    return {'skipped': sum(found[1:], start=found[0])} if found else {}


def _where(chosen: jax.Array, this: PyTree, other: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(chosen, a, b), this, other)
