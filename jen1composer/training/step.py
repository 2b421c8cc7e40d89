"""One training step, the same for every network here.

(1) g = mean over j of grad loss(params, part j of the batch, step),  j = 1 .. k
(2) params' = params + optimiser(g)
(3) ema' = ema + (1 - d) (params' - ema),  d = min(decay, (1 + step) / (10 + step))

Part j is every k-th example, so that a batch that is split over devices is divided on each of them.
Where the loss is a mean over examples, and what is random depends on their index alone, (1) is the
same for every k; what is kept of the forward pass is that of one part.

The ramp in (3) lets the average forget the initial parameters quickly. The loss draws its noise
from (seed, example index) and nothing else, so the step needs no key.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jen1composer.training.spikes import count_skipped
from jen1composer.training.state import PyTree, TrainState

Metrics = Mapping[str, jax.Array]
LossFn = Callable[[PyTree, Any, jax.Array], tuple[jax.Array, Metrics]]
StepFn = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
    networks: Sequence[str] = (),
    accumulate: int = 1,
) -> StepFn:
    """Returns the pure step `(state, batch) -> (state, metrics)`, to be jitted by the caller.

    `loss_fn(params, batch, step)` returns the scalar loss and scalar metrics by name. `networks`
    are entries of the parameters whose gradients' norms are told apart, where there are several.
    `accumulate` is k. Where the optimiser leaves out spikes, the metric `skipped` is 1 for a step
    that it left out and 0 for others, and so the share of them in a mean.
    """

    def gradient(params: PyTree, batch: Any, step: jax.Array) -> tuple[Metrics, PyTree]:
        found = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, metrics), grads = found(params, batch, step)
        return {'loss': loss, **metrics}, grads

    def mean_gradient(params: PyTree, batch: Any, step: jax.Array) -> tuple[Metrics, PyTree]:
        if accumulate == 1:
            return gradient(params, batch, step)
        parts = jax.tree.map(lambda leaf: _every(accumulate, leaf), batch)

        def add(total: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, gradient(params, part, step)), None

        first = jax.tree.map(lambda leaf: leaf[0], parts)
        shapes = jax.eval_shape(gradient, params, first, step)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total, _ = jax.lax.scan(add, nothing, parts)
        return jax.tree.map(lambda leaf: leaf / accumulate, total)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        metrics, grads = mean_gradient(state.params, batch, state.step)  # (1)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)  # (2)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))  # (3)
        ema = jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), state.ema, params)
        new = TrainState(step=state.step + 1, params=params, opt_state=opt_state, ema=ema)
        norms = {f'gradient_norm_{name}': optax.tree.norm(grads[name]) for name in networks}
        before, after = count_skipped(state.opt_state), count_skipped(opt_state)
        spikes = {name: jnp.float32(after[name] - before[name]) for name in after}
        return new, {**metrics, 'gradient_norm': optax.tree.norm(grads), **norms, **spikes}

    return step


def _every(k: int, leaf: jax.Array) -> jax.Array:
    """`[batch, ...] -> [k, batch / k, ...]`; entry j holds the examples j, k + j, ..."""
    return jnp.moveaxis(leaf.reshape(-1, k, *leaf.shape[1:]), 1, 0)
