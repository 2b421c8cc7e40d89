"""Whitening: latents with zero mean and unit covariance, as the diffusion's unit noise expects.

From sums over all frames, gathered batch by batch in float64 on the host,

(1) m = sum z / n,   S = sum z z^T / n - m m^T
(2) S = V diag(w) V^T,   sorted from the largest w down
(3) whiten:   u = (z - m) V diag(1 / sqrt(max(w, floor)))
(4) unwhiten: z = u diag(sqrt(max(w, floor))) V^T + m

(JEN-1: "centred, whitened by SVD", and optionally cut). The floor, a share of the largest w, keeps
a direction in which the latents hardly move from being blown up; what is divided by in (3) is
multiplied by in (4), so (4) inverts (3) whatever the floor.

Cut to k channels, V holds the k directions of largest variance alone: (4) after (3) is then the
orthogonal projection V V^T about the mean, and what it loses is the variance of those left out,

(5) E |z - unwhiten(whiten(z))|^2 = sum_{i > k} w_i.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import BadInput, require


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

    @property
    def mean(self) -> np.ndarray:
        """m of equation (1): float64 `[channel]`."""
        return np.asarray(self.total / self.count)

    @property
    def covariance(self) -> np.ndarray:
        """S of equation (1): float64 `[channel, channel]`."""
        return np.asarray(self.second / self.count - np.outer(self.mean, self.mean))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Whitening:
    """Equations (3) and (4), all float32."""

    mean: jax.Array | np.ndarray  # [channel]
    whiten: jax.Array | np.ndarray  # [channel, kept], applied from the right
    unwhiten: jax.Array | np.ndarray  # [kept, channel], its inverse where all are kept

    @property
    def kept(self) -> int:
        """Channels of white latents."""
        return int(self.whiten.shape[1])

    def apply(self, latents: jax.Array) -> jax.Array:
        """`[..., channel]` -> white `[..., kept]`, largest variance first."""
        return jnp.matmul(latents - self.mean, self.whiten, precision='highest')

    def invert(self, white: jax.Array) -> jax.Array:
        """White `[..., kept]` -> latents `[..., channel]`."""
        return jnp.matmul(white, self.unwhiten, precision='highest') + self.mean


def identity(channels: int) -> Whitening:
    """The whitening that leaves latents as they are."""
    one = np.eye(channels, dtype=np.float32)
    return Whitening(mean=np.zeros(channels, np.float32), whiten=one, unwhiten=one)


def fit(statistics: LatentStatistics, keep: int = 0, floor: float = 1e-6) -> Whitening:
    """The whitening of the frames summed in `statistics`.

    Args:
        statistics: sums over at least as many frames as there are channels, plus one.
        keep: channels to keep, those of largest variance; 0 for all.
        floor: the smallest variance divided by, as a share of the largest.

    Raises:
        BadInput: too few frames to have a covariance, or more channels to keep than there are.
    """
    channels = len(statistics.total)
    require(0 <= keep <= channels, 'whitening_channels', keep, f'is 1 to {channels}, or 0 for all')
    if statistics.count <= channels:
        raise BadInput(
            f'whitening: {statistics.count} latent frames; allowed are more than {channels}, '
            'the number of latent channels'
        )
    variances, directions = np.linalg.eigh(statistics.covariance)
    largest_first = np.arange(channels)[::-1][: keep or channels]
    variances, directions = variances[largest_first], directions[:, largest_first]
    # A sign is free; the largest entry of each direction is made positive, so a refit agrees.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(0)[None], axis=0)
    directions = directions * np.sign(largest)
    scales = np.sqrt(np.maximum(variances, floor * variances[0]))
    return Whitening(
        mean=statistics.mean.astype(np.float32),
        whiten=(directions / scales).astype(np.float32),
        unwhiten=(directions * scales).T.astype(np.float32),
    )


def whiteness(statistics: LatentStatistics, whitening: Whitening) -> dict[str, float]:
    """How far the latents summed in `statistics`, before any whitening, are from white after it.

    Returns their number, the mean of a white channel's square, and the largest entry, in magnitude,
    of (mean of u u^T) less the identity: a mean that has moved counts as a wrong scale does. Exact,
    in float64 from the sums; on what the whitening was fitted on 1 and 0, but for its floor.
    """
    matrix = np.asarray(whitening.whiten, np.float64)
    moved = statistics.mean - np.asarray(whitening.mean, np.float64)
    second = matrix.T @ (statistics.covariance + np.outer(moved, moved)) @ matrix
    return {
        'frames': statistics.count,
        'mean_square': float(np.trace(second) / whitening.kept),
        'largest_error': float(np.abs(second - np.eye(whitening.kept)).max()),
    }
