"""A clipped gradient, a learning rate that warms up and then falls, and AdamW or Muon.

(1) lr(s) = peak x s / warmup                               for s < warmup
(2) lr(s) = peak x (1 - (1 - floor) (s - warmup) / (total - warmup))   afterwards, linearly
    (JEN-1: linear decay), `floor` being the share of the peak that is left at the end.

Weights of two or more axes decay; scales and biases do not, which are known by their names
(`models.layers`), however many axes they have.

Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; of optax.contrib) replaces the step
of each such weight by the nearest matrix whose singular values are all alike,

(3) update = lr x .2 sqrt(max(rows, columns)) x U V^T,   U S V^T the averaged gradient

so that directions which hardly show in the gradient are learnt as fast as the loud ones. The factor
gives it the size of an AdamW update (arXiv 2502.16982), hence one learning rate fits both. Kernels
of convolutions count as matrices from all that enters to what leaves, `kernels` as one matrix for
each entry of their first axis. Everything else gets AdamW, with Nesterov momentum.
"""

import dataclasses
from typing import Any

import jax
import optax
from optax import contrib

from jen1composer.errors import require

OPTIMIZERS = ('adamw', 'muon')

# Names of parameters that are no weights; and of those that are a stack of matrices.
NO_WEIGHTS = ('bias', 'biases', 'scale', 'frequencies')
STACKS = ('kernels',)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    peak_learning_rate: float
    total_steps: int
    name: str = 'adamw'
    warmup_steps: int = 100
    floor: float = 0.05  # share of the peak learning rate left at the last step
    b1: float = 0.9  # of AdamW
    b2: float = 0.95
    momentum: float = 0.95  # of Muon
    weight_decay: float = 0.01
    clip_norm: float = 1.0  # global norm of the gradient

    def __post_init__(self) -> None:
        for name, ok, allowed in (
            ('name', self.name in OPTIMIZERS, f'are {", ".join(OPTIMIZERS)}'),
            ('peak_learning_rate', self.peak_learning_rate > 0, 'is more than 0'),
            ('warmup_steps', self.warmup_steps >= 0, 'is 0 or more'),
            ('floor', 0 <= self.floor <= 1, 'is 0 to 1'),
            ('b1', 0 <= self.b1 < 1, 'is 0 to below 1'),
            ('b2', 0 <= self.b2 < 1, 'is 0 to below 1'),
            ('momentum', 0 <= self.momentum < 1, 'is 0 to below 1'),
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
    rate = learning_rate(config)
    if config.name == 'muon':
        rule = contrib.muon(
            rate,
            beta=config.momentum,
            weight_decay=config.weight_decay,
            adam_b1=config.b1,
            adam_b2=config.b2,
            muon_weight_dimension_numbers=_as_matrices,
            consistent_rms=0.2,
        )
    else:
        rule = optax.adamw(
            rate,
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree_util.tree_map_with_path(_is_weight, params),
        )
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)


def _as_matrices(params: Any) -> Any:
    """For each weight how Muon reads it as a matrix, None for what it leaves to AdamW."""

    def matrix(path: Any, leaf: Any) -> contrib.MuonDimensionNumbers | None:
        if not _is_weight(path, leaf):
            return None
        # An axis that is neither counts the matrices of a stack.
        entering = tuple(range(_name(path) in STACKS, leaf.ndim - 1))
        return contrib.MuonDimensionNumbers(reduction_axis=entering, output_axis=(leaf.ndim - 1,))

    return jax.tree_util.tree_map_with_path(matrix, params)


def _is_weight(path: Any, leaf: Any) -> bool:
    return leaf.ndim >= 2 and _name(path) not in NO_WEIGHTS


def _name(path: Any) -> str:
    """Of a parameter, whether or not it lies in a box with its logical axes."""
    return [key.key for key in path if isinstance(key, jax.tree_util.DictKey)][-1]
