"""A clipped gradient, a learning rate by its schedule, and AdamW or Muon.

The learning rate is one of `schedules`, linear as in JEN-1 unless it says otherwise; steps with a
spike of the gradient can be left out, see `spikes`.

Weights of two or more axes decay; scales and biases do not, which are known by their names
(`models.layers`), however many axes they have.

Muon (`training.muon`) replaces the step of each such weight by the nearest matrix whose singular
values are all alike,

(1) update = lr x .2 sqrt(max(rows, columns)) x U V^T,   U S V^T the averaged gradient

so that directions which hardly show in the gradient are learnt as fast as the loud ones. The factor
gives it the size of an AdamW update (arXiv 2502.16982), hence one learning rate fits both. Kernels
of convolutions count as matrices from all that enters to what leaves, `kernels` as one matrix for
each entry of their first axis. Everything else gets AdamW, with Nesterov momentum.

Of Shampoo's family optax has no other (0.2.8): Muon's is the direction that Shampoo takes where its
preconditioners are of the present gradient alone (arXiv 2409.20325).
"""

import dataclasses
from typing import Any

import jax
import optax

from jen1composer.errors import require
from jen1composer.training.muon import muon
from jen1composer.training.schedules import SCHEDULES, by_stage, make_learning_rate
from jen1composer.training.spikes import skip_spikes
from jen1composer.training.state import parameter_path

OPTIMIZERS = ('adamw', 'muon')

# Names of parameters that are no weights; and of those that are a stack of matrices.
NO_WEIGHTS = ('bias', 'biases', 'scale', 'frequencies')
STACKS = ('kernels',)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    peak_learning_rate: float
    total_steps: int
    stage_steps: tuple[int, ...] = ()  # of the stages of the training, where it has any
    name: str = 'adamw'
    schedule: str = 'linear'
    warmup_steps: int = 100
    floor: float = 0.05  # share of the peak learning rate left at the last step
    decay_share: float = 0.2  # of the steps, in which warmup_stable_decay falls
    stage_rates: tuple[float, ...] = ()  # what each stage multiplies the learning rate by
    b1: float = 0.9  # of AdamW
    b2: float = 0.95
    momentum: float = 0.95  # of Muon
    weight_decay: float = 0.01
    clip_norm: float = 1.0  # global norm of the gradient
    spike_factor: float = 0.0  # of the usual norm, above which a step is skipped; 0: none is

    def __post_init__(self) -> None:
        for name, ok, allowed in (
            ('name', self.name in OPTIMIZERS, f'are {", ".join(OPTIMIZERS)}'),
            ('peak_learning_rate', self.peak_learning_rate > 0, 'is more than 0'),
            ('schedule', self.schedule in SCHEDULES, f'are {", ".join(SCHEDULES)}'),
            ('warmup_steps', self.warmup_steps >= 0, 'is 0 or more'),
            ('floor', 0 <= self.floor <= 1, 'is 0 to 1'),
            ('decay_share', 0 < self.decay_share <= 1, 'is more than 0, up to 1'),
            (
                'stage_rates',
                len(self.stage_rates) in (0, len(self.stage_steps))
                and all(rate >= 0 for rate in self.stage_rates),
                f'are none or {len(self.stage_steps)}, one for each stage, of 0 or more',
            ),
            ('b1', 0 <= self.b1 < 1, 'is 0 to below 1'),
            ('b2', 0 <= self.b2 < 1, 'is 0 to below 1'),
            ('momentum', 0 <= self.momentum < 1, 'is 0 to below 1'),
            ('weight_decay', self.weight_decay >= 0, 'is 0 or more'),
            ('clip_norm', self.clip_norm > 0, 'is more than 0'),
            (
                'spike_factor',
                self.spike_factor == 0 or self.spike_factor > 1,
                'is more than 1, or 0',
            ),
        ):
            require(ok, f'optimizer.{name}', getattr(self, name), allowed)


def learning_rate(config: OptimizerConfig) -> optax.Schedule:
    """Steps done -> learning rate, see `schedules`."""
    rate = make_learning_rate(
        config.schedule,
        peak=config.peak_learning_rate,
        total_steps=config.total_steps,
        warmup_steps=config.warmup_steps,
        floor=config.floor,
        decay_share=config.decay_share,
    )
    return by_stage(rate, config.stage_rates, config.stage_steps) if config.stage_rates else rate


def make_optimizer(config: OptimizerConfig) -> optax.GradientTransformation:
    rate = learning_rate(config)
    if config.name == 'muon':
        rule = muon(
            rate,
            count=_matrices,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            rms=0.2,
            b1=config.b1,
            b2=config.b2,
        )
    else:
        rule = optax.adamw(
            rate,
            b1=config.b1,
            b2=config.b2,
            weight_decay=config.weight_decay,
            mask=lambda params: jax.tree_util.tree_map_with_path(_is_weight, params),
        )
    clipped = optax.chain(optax.clip_by_global_norm(config.clip_norm), rule)
    return skip_spikes(clipped, config.spike_factor) if config.spike_factor else clipped


def _matrices(params: Any) -> Any:
    """How many matrices each weight holds; none is 0, and goes to AdamW."""

    def count(path: Any, leaf: Any) -> int:
        if not _is_weight(path, leaf):
            return 0
        return int(leaf.shape[0]) if parameter_path(path)[-1] in STACKS else 1

    return jax.tree_util.tree_map_with_path(count, params)


def _is_weight(path: Any, leaf: Any) -> bool:
    return leaf.ndim >= 2 and parameter_path(path)[-1] not in NO_WEIGHTS
