"""The few layers that every network here is built from.

All work on `[..., frame, channel]`. Each weight names its logical axes, so that a sharding strategy
(`jen1composer.sharding.rules`) can place it without the layer knowing of any device:

    conv_in     channels that enter a kernel, `[width, in, out]` or `[in, out]`
    conv_out    channels that leave it
    heads       attention heads times their width, on whichever side they stand
    norm        scales and biases, never worth splitting

Parameters are float32; `dtype` is what the arithmetic runs in. Normalisation is over channels
within one frame and never over time: a statistic over time would let a frame see the future, and
would make a chunk of a song differ from the whole.
"""

from collections.abc import Callable
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp

Initializer = Callable[..., jax.Array]

lecun = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')
zeros = nn.initializers.zeros_init()
ones = nn.initializers.ones_init()


def parameter(
    module: nn.Module,
    name: str,
    init: Initializer,
    axes: tuple[str | None, ...],
    shape: tuple[int, ...],
) -> jax.Array:
    """A float32 weight of `module` that carries the logical names of its axes."""
    value = module.param(name, nn.with_logical_partitioning(init, axes), shape)
    return cast(jax.Array, value)  # flax unboxes it within `apply`


class Dense(nn.Module):
    """Linear map of the last axis: `[..., in] -> [..., features]`."""

    features: int
    axes: tuple[str | None, str | None] = ('conv_in', 'conv_out')
    use_bias: bool = True
    kernel_init: Initializer = lecun
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = parameter(
            self, 'kernel', self.kernel_init, self.axes, (x.shape[-1], self.features)
        )
        y = jnp.einsum('...i,io->...o', x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias = parameter(self, 'bias', zeros, ('norm',), (self.features,))
            y = y + bias.astype(self.dtype)
        return y


class Conv(nn.Module):
    """Dense convolution over frames, same length: `[batch, frame, in] -> [batch, frame, features]`.

    The kernel has an odd width and the signal is padded with zeros by half of it on both sides.
    Only this plain form is used: under a mesh XLA gives depthwise and grouped ones wrong gradients.
    """

    features: int
    width: int = 3
    dilation: int = 1
    kernel_init: Initializer = lecun
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        if self.width % 2 == 0:
            raise ValueError(f'Conv.width: {self.width}; allowed are odd widths')
        axes = (None, 'conv_in', 'conv_out')
        shape = (self.width, x.shape[-1], self.features)
        kernel = parameter(self, 'kernel', self.kernel_init, axes, shape)
        bias = parameter(self, 'bias', zeros, ('norm',), (self.features,))
        half = self.dilation * (self.width // 2)
        y = jax.lax.conv_general_dilated(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            window_strides=(1,),
            padding=[(half, half)],
            rhs_dilation=(self.dilation,),
            dimension_numbers=('NWC', 'WIO', 'NWC'),
        )
        return y + bias.astype(self.dtype)


class RMSNorm(nn.Module):
    """Divides each frame's channels by their root mean square, in float32, then scales.

    (1) y = x / sqrt(mean_c(x^2) + epsilon) * scale
    """

    epsilon: float = 1e-6
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = parameter(self, 'scale', ones, ('norm',), (x.shape[-1],))
        x32 = x.astype(jnp.float32)
        power = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
        return (x32 * jax.lax.rsqrt(power + self.epsilon) * scale).astype(self.dtype)
