"""Learning rates by name: a common warm-up, and what comes after it.

Of step s, with u = (s - warmup) / (total - warmup) held to 0 .. 1, and `floor` the share of the
peak that is left at the end:

(1) before warmup          peak x s / warmup
(2) linear                 peak x (1 - (1 - floor) u)                  as JEN-1
(3) cosine                 peak x (floor + (1 - floor) (1 + cos(pi u)) / 2)
(4) constant               peak
(5) warmup_stable_decay    peak until u = 1 - decay_share, then (2) over what is left
(6) inverse_sqrt           peak x sqrt(w / max(s, w)),  w = max(1, warmup);  no floor, no end

(5) and (6) do not fall before they have to, so that a run can go on for longer than was planned.

A curriculum may want another rate in each of its stages,

(7) lr(s) = m_i x (1) .. (6),  i the stage that step s is in, the last one without an end.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

SCHEDULES = ('linear', 'cosine', 'constant', 'warmup_stable_decay', 'inverse_sqrt')


def make_learning_rate(
    name: str,
    *,
    peak: float,
    total_steps: int,
    warmup_steps: int = 0,
    floor: float = 0.0,
    decay_share: float = 0.2,
) -> optax.Schedule:
    """Steps done -> learning rate, (1) and the one of (2) to (6) that `name` says."""
    rest = max(1, total_steps - warmup_steps)
    if name == 'linear':
        after = optax.linear_schedule(peak, peak * floor, rest)
    elif name == 'cosine':
        after = optax.cosine_decay_schedule(peak, rest, alpha=floor)
    elif name == 'constant':
        after = optax.constant_schedule(peak)
    elif name == 'warmup_stable_decay':
        falling = max(1, round(decay_share * rest))
        after = optax.linear_schedule(peak, peak * floor, falling, rest - falling)
    elif name == 'inverse_sqrt':
        width = max(1, warmup_steps)

        def after(count: jax.typing.ArrayLike) -> jax.Array:
            return peak * math.sqrt(width) / jnp.sqrt(jnp.maximum(count + warmup_steps, width))

    else:
        raise ValueError(f'schedule {name!r}; allowed are {", ".join(SCHEDULES)}')
    rise = optax.linear_schedule(0.0, peak, max(1, warmup_steps))
    return optax.join_schedules([rise, after], [warmup_steps])


def by_stage(
    rate: optax.Schedule, factors: Sequence[float], stage_steps: Sequence[int]
) -> optax.Schedule:
    """Equation (7): `factors` are m_i, `stage_steps` how long each stage is."""
    last_steps = np.cumsum(stage_steps)[:-1]

    def multiplied(count: jax.typing.ArrayLike) -> jax.Array:
        stage = jnp.searchsorted(jnp.asarray(last_steps), count, side='right')
        return jnp.asarray(factors)[stage] * rate(count)

    return multiplied
