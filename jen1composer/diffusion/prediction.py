"""What the network predicts, and how it is converted.

With x = alpha x_0 + sigma epsilon and alpha^2 + sigma^2 = 1:

(1) v        v = alpha epsilon - sigma x_0      x_0 = alpha x - sigma v      (arXiv 2202.00512)
(2) epsilon                                     x_0 = (x - sigma epsilon) / alpha
(3) x0                                          x_0 itself

(1) and (3) hold on all of [0, 1]; (2) says nothing of x_0 at t = 1, where alpha = 0, so sampling
from it starts at a t_max < 1.
"""

import enum

import jax

from jen1composer.diffusion.schedule import over_latents
from jen1composer.errors import BadInput


class Prediction(enum.StrEnum):
    """The kind of the network's output; the default everywhere is V."""

    V = 'v'
    EPSILON = 'epsilon'
    X0 = 'x0'

    @classmethod
    def _missing_(cls, value: object) -> 'Prediction':
        raise BadInput(f'prediction: {value!r}; allowed are {", ".join(cls)}')

    @property
    def t_max(self) -> float:
        """Where sampling starts: at 1, or just before it where 1 says nothing of x_0."""
        return 0.995 if self is Prediction.EPSILON else 1.0

    def target(
        self, x0: jax.Array, noise: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> jax.Array:
        """What the network should return for clean latents and the noise that was added.

        `x0` and `noise` are [batch, track, frame, channel], `alpha` and `sigma` [batch, track].
        """
        if self is Prediction.V:
            return over_latents(alpha) * noise - over_latents(sigma) * x0
        return noise if self is Prediction.EPSILON else x0

    def to_x0(
        self, output: jax.Array, x: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> jax.Array:
        """The clean latents that an output at `x` stands for; infinite for EPSILON at alpha = 0."""
        if self is Prediction.V:
            return over_latents(alpha) * x - over_latents(sigma) * output
        if self is Prediction.EPSILON:
            return (x - over_latents(sigma) * output) / over_latents(alpha)
        return output
