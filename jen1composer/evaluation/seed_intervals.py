"""What seeds say: means with intervals, and differences paired by seed.

With values v_1 .. v_n of n seeds and t the .975 quantile of Student's law with n - 1 degrees,

(1) mean +- t s / n^.5,   s^2 the variance with n - 1 below

(2) a difference of two variants is (1) of the differences seed by seed: what a seed does to both,
    its data and its noise, is not in it.

With three seeds t is 4.3, so an interval is wide; that the seeds are few is in it.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from jen1composer.errors import require
from jen1composer.evaluation.intervals import student

LEVEL = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class SeedInterval:
    """A mean over seeds and its 95 % interval."""

    mean: float
    low: float
    high: float
    seeds: int

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def over_seeds(values: Sequence[float]) -> SeedInterval:
    """Equation (1); raises BadInput for fewer than two values."""
    require(len(values) > 1, 'interval: seeds', len(values), 'are 2 and more')
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = student(LEVEL, len(values) - 1) * error
    return SeedInterval(mean=mean, low=mean - half, high=mean + half, seeds=len(values))


def paired(values: Mapping[int, float], base: Mapping[int, float]) -> SeedInterval | None:
    """Equation (2) over the seeds, the keys, that both have; None where there are not two."""
    seeds = sorted(set(values) & set(base))
    return over_seeds([values[s] - base[s] for s in seeds]) if len(seeds) >= 2 else None
