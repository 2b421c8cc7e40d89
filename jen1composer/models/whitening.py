"""Whitening: latents with zero mean and unit covariance, as the diffusion's unit noise expects.

From sums over all frames, gathered batch by batch in float64 on the host,

(1) m = sum z / n,   S = sum z z^T / n - m m^T
(2) S = V diag(w) V^T,   sorted from the largest w down
(3) whiten:   u = (z - m) V diag(1 / sqrt(max(w, floor)))
(4) unwhiten: z = u diag(sqrt(max(w, floor))) V^T + m

(JEN-1: "centred, whitened by SVD"). The floor, a share of the largest w, keeps a direction in which
the latents hardly move from being blown up; what is divided by in (3) is multiplied by in (4), so
(4) inverts (3) whatever the floor.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import BadInput


@dataclasses.dataclass(frozen=True, kw_only=True)
class LatentStatistics:
    """Sums over frames; `a + b` are the sums over both."""

    count: int
    total: np.ndarray  # [channel] float64, sum of z
    second: np.ndarray  # [channel, channel] float64, sum of z z^T

    @classmethod
    def of(cls, latents: np.ndarray | jax.Array) -> 'LatentStatistics':
        """The sums over every frame of `[..., channel]`."""
        z = np.asarray(latents, np.float64).reshape(-1, latents.shape[-1])
        return cls(count=len(z), total=z.sum(0), second=z.T @ z)

    def __add__(self, other: 'LatentStatistics') -> 'LatentStatistics':
        return LatentStatistics(
            count=self.count + other.count,
            total=self.total + other.total,
            second=self.second + other.second,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Whitening:
    """Equations (3) and (4), all float32."""

    mean: jax.Array | np.ndarray  # [channel]
    whiten: jax.Array | np.ndarray  # [channel, channel], applied from the right
    unwhiten: jax.Array | np.ndarray  # [channel, channel], its inverse

    def apply(self, latents: jax.Array) -> jax.Array:
        """`[..., channel]` -> white `[..., channel]`, largest variance first."""
        return jnp.matmul(latents - self.mean, self.whiten, precision='highest')

    def invert(self, white: jax.Array) -> jax.Array:
        """White `[..., channel]` -> latents `[..., channel]`."""
        return jnp.matmul(white, self.unwhiten, precision='highest') + self.mean


def identity(channels: int) -> Whitening:
    """The whitening that leaves latents as they are."""
    one = np.eye(channels, dtype=np.float32)
    return Whitening(mean=np.zeros(channels, np.float32), whiten=one, unwhiten=one)


def fit(statistics: LatentStatistics, floor: float = 1e-6) -> Whitening:
    """The whitening of the frames summed in `statistics`.

    Args:
        statistics: sums over at least as many frames as there are channels, plus one.
        floor: the smallest variance divided by, as a share of the largest.

    Raises:
        BadInput: too few frames to have a covariance.
    """
    channels = len(statistics.total)
    if statistics.count <= channels:
        raise BadInput(
            f'whitening: {statistics.count} latent frames; allowed are more than {channels}, '
            'the number of latent channels'
        )
    mean = statistics.total / statistics.count
    covariance = statistics.second / statistics.count - np.outer(mean, mean)
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    # A sign is free; the largest entry of each direction is made positive, so a refit agrees.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(0)[None], axis=0)
    directions = directions * np.sign(largest)
    scales = np.sqrt(np.maximum(variances, floor * variances[0]))
    return Whitening(
        mean=mean.astype(np.float32),
        whiten=(directions / scales).astype(np.float32),
        unwhiten=(directions * scales).T.astype(np.float32),
    )
