"""Overlapping frames: how a long thin signal becomes a short wide one, and comes back.

A frame of `stride` s covers 2s positions, half of them shared with each neighbour, and stands
centred over the s positions that it replaces:

(1) frames:      f_i = x[i s - floor(s/2) : i s - floor(s/2) + 2 s], zeros beyond both ends
(2) overlap-add: y = sum_i f_i at those same positions, which is the transpose of (1)

so that down- and upsampling by s are (1) followed by a matrix product, and a matrix product
followed by (2): no strided or transposed convolution, which a CPU runs many times slower.

With the modified discrete cosine transform as that matrix,

(3) M[n, k] = sqrt(2/s) sin(pi (n + 1/2) / 2s) cos(pi (n + 1/2 + s/2) (k + 1/2) / s),
    n = 0 .. 2s - 1 positions, k = 0 .. s - 1 frequencies,

the frames are an orthonormal basis: s coefficients for s samples, and overlap-add returns the
signal (Princen and Bradley 1986: the alias of each half-frame cancels against its neighbour's).
The first ceil(s/2) and the last floor(s/2) samples lack a neighbour and come back faded.

The products are in full float32 on any device: a weak partial must not drown in a loud one's
rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np


def frames(x: jax.Array, stride: int) -> jax.Array:
    """Equation (1): `[batch, n x stride, channel] -> [batch, n, 2 x stride, channel]`."""
    batch, length, channels = x.shape
    if length % stride:
        raise ValueError(f'frames: length {length}; allowed are multiples of the stride {stride}')
    x = jnp.pad(x, ((0, 0), (stride // 2, stride - stride // 2), (0, 0)))
    blocks = x.reshape(batch, length // stride + 1, stride, channels)
    return jnp.concatenate([blocks[:, :-1], blocks[:, 1:]], axis=2)


def overlap_add(x: jax.Array) -> jax.Array:
    """Equation (2): `[batch, n, 2 x stride, channel] -> [batch, n x stride, channel]`."""
    batch, count, width, channels = x.shape
    stride = width // 2
    first = jnp.pad(x[:, :, :stride], ((0, 0), (0, 1), (0, 0), (0, 0)))
    second = jnp.pad(x[:, :, stride:], ((0, 0), (1, 0), (0, 0), (0, 0)))
    y = (first + second).reshape(batch, (count + 1) * stride, channels)
    return y[:, stride // 2 : stride // 2 + count * stride]


def mdct_matrix(stride: int) -> np.ndarray:
    """Equation (3): `[2 x stride, stride]` float32, orthonormal columns."""
    n = np.arange(2 * stride)[:, None] + 0.5  # position
    k = np.arange(stride)[None, :] + 0.5  # frequency
    window = np.sin(np.pi * n / (2 * stride))
    basis = np.cos(np.pi / stride * (n + stride / 2) * k)
    return (np.sqrt(2 / stride) * window * basis).astype(np.float32)


def mdct(x: jax.Array, stride: int) -> jax.Array:
    """`[batch, n x stride, channel] -> [batch, n, stride, channel]`, lowest frequency first."""
    # Each channel is a signal of its own, so that frames lie in memory as the product reads them.
    batch, _, channels = x.shape
    blocks = frames(jnp.moveaxis(x, 2, 1).reshape(batch * channels, -1, 1), stride)[..., 0]
    y = jnp.matmul(blocks, mdct_matrix(stride), precision='highest')
    return jnp.moveaxis(y.reshape(batch, channels, -1, stride), 1, 3)


def inverse_mdct(x: jax.Array) -> jax.Array:
    """`[batch, n, stride, channel] -> [batch, n x stride, channel]`, the transpose of `mdct`."""
    batch, count, stride, channels = x.shape
    rows = jnp.moveaxis(x, 3, 1).reshape(batch * channels, count, stride)
    y = overlap_add(jnp.matmul(rows, mdct_matrix(stride).T, precision='highest')[..., None])
    return jnp.moveaxis(y.reshape(batch, channels, -1), 1, 2)
