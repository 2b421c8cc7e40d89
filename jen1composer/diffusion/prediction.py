"""What the network predicts, and how it is converted.

With x = alpha x_0 + sigma epsilon, every kind is a combination y = e epsilon + c x_0:

              e       c
(1) v         alpha   -sigma     (arXiv 2202.00512)
(2) epsilon   1       0
(3) x0        0       1
(4) velocity  1       -1         dx/dt where alpha = 1 - t, sigma = t (arXiv 2209.03003)

(5) x_0 = (e x - sigma y) / d,   d = e alpha - c sigma

The determinant d is alpha^2 + sigma^2, alpha, -sigma and alpha + sigma, so (5) is exact on (0, 1)
for every schedule. At t = 1, where alpha = 0, only epsilon says nothing of x_0, so sampling from it
starts just before. At t = 0 (3) is y itself.
"""

import enum

import jax
import jax.numpy as jnp

from jen1composer.diffusion.schedule import Schedule, over_latents
from jen1composer.errors import BadInput

# (5) multiplies an error of epsilon by sigma / alpha: up to 128 times. What is missed by starting
# from pure noise there is a 128th of x_0. It is t = .995 of the cosine schedule.
LEAST_ALPHA_FOR_EPSILON = 1 / 128


class Prediction(enum.StrEnum):
    """The kind of the network's output; the default everywhere is V."""

    V = 'v'
    EPSILON = 'epsilon'
    X0 = 'x0'
    VELOCITY = 'velocity'

    @classmethod
    def _missing_(cls, value: object) -> 'Prediction':
        raise BadInput(f'prediction: {value!r}; allowed are {", ".join(cls)}')

    def t_max(self, schedule: Schedule) -> float:
        """Where sampling starts: at 1, or just before it where 1 says nothing of x_0."""
        return schedule.time_at(LEAST_ALPHA_FOR_EPSILON) if self is Prediction.EPSILON else 1.0

    def coefficients(self, alpha: jax.Array, sigma: jax.Array) -> tuple[jax.Array, jax.Array]:
        """e and c of the table, shaped as `alpha` and `sigma`."""
        one, zero = jnp.ones_like(alpha), jnp.zeros_like(alpha)
        match self:
            case Prediction.V:
                return alpha, -sigma
            case Prediction.EPSILON:
                return one, zero
            case Prediction.X0:
                return zero, one
            case Prediction.VELOCITY:
                return one, -one

    def determinant(self, alpha: jax.Array, sigma: jax.Array) -> jax.Array:
        """d of (5); at a fixed x, y changes by -d / sigma times the change of x_0."""
        of_noise, of_x0 = self.coefficients(alpha, sigma)
        return of_noise * alpha - of_x0 * sigma

    def target(
        self, x0: jax.Array, noise: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> jax.Array:
        """What the network should return for clean latents and the noise that was added.

        `x0` and `noise` are [batch, track, frame, channel], `alpha` and `sigma` [batch, track].
        """
        of_noise, of_x0 = map(over_latents, self.coefficients(alpha, sigma))
        return of_noise * noise + of_x0 * x0

    def to_x0(
        self, output: jax.Array, x: jax.Array, alpha: jax.Array, sigma: jax.Array
    ) -> jax.Array:
        """Equation (5): the clean latents that an output at `x` stands for.

        Shapes as in `target`. Infinite for EPSILON where alpha is 0.
        """
        if self is Prediction.X0:
            return output
        of_noise, _ = self.coefficients(alpha, sigma)
        determinant = self.determinant(alpha, sigma)
        top = over_latents(of_noise) * x - over_latents(sigma) * output
        return top / over_latents(determinant)
