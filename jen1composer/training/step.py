"""One training step, the same for every network here.

(1) g = grad loss(params, batch, step)
(2) params' = params + optimiser(g)
(3) ema' = ema + (1 - d) (params' - ema),  d = min(decay, (1 + step) / (10 + step))

The ramp in (3) lets the average forget the initial parameters quickly. The loss draws its noise
from (seed, example index) and nothing else, so the step needs no key.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jen1composer.training.state import PyTree, TrainState

Metrics = Mapping[str, jax.Array]
LossFn = Callable[[PyTree, Any, jax.Array], tuple[jax.Array, Metrics]]
StepFn = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


def make_train_step(
    loss_fn: LossFn,
    optimizer: optax.GradientTransformation,
    ema_decay: float,
    networks: Sequence[str] = (),
) -> StepFn:
    """Returns the pure step `(state, batch) -> (state, metrics)`, to be jitted by the caller.

    `loss_fn(params, batch, step)` returns the scalar loss and scalar metrics by name. `networks`
    are entries of the parameters whose gradients' norms are told apart, where there are several.
    """

    def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
        gradient = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, metrics), grads = gradient(state.params, batch, state.step)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        decay = jnp.minimum(ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), state.ema, params)
        new = TrainState(step=state.step + 1, params=params, opt_state=opt_state, ema=ema)
        norms = {f'gradient_norm_{name}': optax.tree.norm(grads[name]) for name in networks}
        return new, {'loss': loss, 'gradient_norm': optax.tree.norm(grads), **norms, **metrics}

    return step
