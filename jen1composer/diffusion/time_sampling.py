"""The times that are trained on, t in (0, 1], as a function of (seed, example index).

(1) uniform
(2) logit-normal:  log(t / (1 - t)) ~ N(mean, deviation^2)   (arXiv 2403.03206)

(2) trains more on the middle, where there is most to learn; a mean above 0 moves it towards noise.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jen1composer.diffusion.named import make_named
from jen1composer.diffusion.randomness import Draw, Seed, example_keys, uniform_time
from jen1composer.errors import require


class TimeSampling(Protocol):
    """Draws the time that the targets of an example share, `[batch]`; `index` is uint32 [batch]."""

    def times(self, seed: Seed, index: jax.Array) -> jax.Array: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformTimes:
    """Equation (1)."""

    def times(self, seed: Seed, index: jax.Array) -> jax.Array:
        return uniform_time(seed, index)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogitNormalTimes:
    """Equation (2)."""

    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        mean, deviation = self.mean, self.deviation
        require(-10 <= mean <= 10, 'time_sampling logit_normal mean', mean, 'is -10 to 10')
        name = 'time_sampling logit_normal deviation'
        require(0 < deviation <= 10, name, deviation, 'is above 0, up to 10')

    def times(self, seed: Seed, index: jax.Array) -> jax.Array:
        normal = jax.vmap(jax.random.normal)(example_keys(seed, index, Draw.TIME))
        t = jax.nn.sigmoid(self.mean + self.deviation * normal)
        return jnp.maximum(t, 2.0**-23)  # the least uniform one; exp(-100) would be 0


TIME_SAMPLINGS: dict[str, type[TimeSampling]] = {
    'uniform': UniformTimes,
    'logit_normal': LogitNormalTimes,
}


def make_time_sampling(name: str, parameters: Mapping[str, Any]) -> TimeSampling:
    """The time sampling of that name; raises BadInput for a name or parameter not there."""
    return make_named('time_sampling', TIME_SAMPLINGS, name, parameters)
