"""AdamW with a clipped gradient and a learning rate that warms up and then falls.

(1) lr(s) = peak x s / warmup                               for s < warmup
(2) lr(s) = peak x (1 - (1 - floor) (s - warmup) / (total - warmup))   afterwards, linearly
    (JEN-1: linear decay), `floor` being the share of the peak that is left at the end.

Weights of two or more axes decay; scales and biases do not.
"""

import dataclasses

import jax
import optax

from jen1composer.errors import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    peak_learning_rate: float
    total_steps: int
    warmup_steps: int = 100
    floor: float = 0.05  # share of the peak learning rate left at the last step
    b1: float = 0.9
    b2: float = 0.95
    weight_decay: float = 0.01
    clip_norm: float = 1.0  # global norm of the gradient

    def __post_init__(self) -> None:
        for name, ok, allowed in (
            ('peak_learning_rate', self.peak_learning_rate > 0, 'is more than 0'),
            ('warmup_steps', self.warmup_steps >= 0, 'is 0 or more'),
            ('floor', 0 <= self.floor <= 1, 'is 0 to 1'),
            ('b1', 0 <= self.b1 < 1, 'is 0 to below 1'),
            ('b2', 0 <= self.b2 < 1, 'is 0 to below 1'),
            ('weight_decay', self.weight_decay >= 0, 'is 0 or more'),
            ('clip_norm', self.clip_norm > 0, 'is more than 0'),
        ):
            require(ok, f'optimizer.{name}', getattr(self, name), allowed)


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Steps done -> learning rate, equations (1) and (2)."""
    fall = max(1, config.total_steps - config.warmup_steps)
    peak = config.peak_learning_rate
    return optax.join_schedules(
        [
            optax.linear_schedule(0.0, peak, max(1, config.warmup_steps)),
            optax.linear_schedule(peak, peak * config.floor, fall),
        ],
        [config.warmup_steps],
    )


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate(config),
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree.map(lambda leaf: leaf.ndim >= 2, params),
        ),
    )
