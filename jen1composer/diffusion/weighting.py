"""How much an example's loss counts at its time.

The loss is the squared error of the network's output y, whatever its kind. At a fixed x an error of
x_0 is one of y, d / sigma times as large (`Prediction.determinant`). With SNR = (alpha / sigma)^2

(1) w |y error|^2 = w (d / sigma)^2 |x_0 error|^2

(2) uniform   w = 1: weight (d / sigma)^2 on x_0
(3) min-SNR   w = min(SNR, gamma) (sigma / d)^2: weight min(SNR, gamma) on x_0 (arXiv 2303.09556),
              where alpha^2 + sigma^2 = 1 so epsilon min(SNR, gamma) / SNR, v min(SNR, gamma) /
              (SNR + 1), x0 min(SNR, gamma)

Under (3) all kinds of prediction have the same loss, as functions of their x_0.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jen1composer.diffusion.named import make_named
from jen1composer.diffusion.prediction import Prediction
from jen1composer.errors import require

# The least alpha and sigma that (3) is computed at: below what float32 times can reach, it puts the
# limit where 0 / 0 would be.
LEAST = 1e-10


class Weighting(Protocol):
    """Weights of examples whose targets stand at (alpha, sigma), each of any one shape."""

    def weight(self, alpha: jax.Array, sigma: jax.Array, prediction: Prediction) -> jax.Array: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class UniformWeighting:
    """Equation (2)."""

    def weight(self, alpha: jax.Array, sigma: jax.Array, prediction: Prediction) -> jax.Array:
        del sigma, prediction
        return jnp.ones_like(alpha)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MinSNRWeighting:
    """Equation (3)."""

    gamma: float = 5.0  # as in the paper

    def __post_init__(self) -> None:
        require(0 < self.gamma < float('inf'), 'weighting min_snr gamma', self.gamma, 'is above 0')

    def weight(self, alpha: jax.Array, sigma: jax.Array, prediction: Prediction) -> jax.Array:
        alpha, sigma = jnp.maximum(alpha, LEAST), jnp.maximum(sigma, LEAST)
        determinant = prediction.determinant(alpha, sigma)
        signal, noise = jnp.square(alpha / determinant), jnp.square(sigma / determinant)
        return jnp.minimum(signal, self.gamma * noise)


WEIGHTINGS: dict[str, type[Weighting]] = {'uniform': UniformWeighting, 'min_snr': MinSNRWeighting}


def make_weighting(name: str, parameters: Mapping[str, Any]) -> Weighting:
    """The weighting of that name; raises BadInput for a name or parameter that is not there."""
    return make_named('weighting', WEIGHTINGS, name, parameters)
