"""The few layers that every network here is built from.

All work on `[..., frame, channel]`. Each weight names its logical axes, so that a sharding strategy
(`jen1composer.sharding.rules`) can place it without the layer knowing of any device:

    channel     on one side of each kernel, `[width, in, out]` or `[in, out]`, that of the stream
                that blocks add to; at the ends, where one side is the data's, the other
    inner       channels inside a block, between its first matrix and its last
    heads       attention heads times their width, on whichever side they stand
    norm        scales and biases, never worth splitting

and hands it to its `Placement` before using it; blocks do so with their features. That is all by
which a network trains on one device or on thousands. The name of a weight says what an optimiser
may do with it (`jen1composer.training.optimizer`): `kernel` is one matrix from all that enters to
what leaves, `kernels` are one for each entry of the first axis, `bias`, `biases` and `scale` are
none.

Parameters are float32; `dtype` is what the arithmetic runs in. Normalisation is over channels
within one frame and never over time: a statistic over time would let a frame see the future, and
would make a chunk of a song differ from the whole.

Where a layer looks at other frames it has two modes, so that one set of weights serves both: in the
causal one a frame sees itself and what came before it, in the other one both sides. The mode is a
boolean per example, traced, or one plain `bool` for all:

(1) causal:  y_j = b + sum_k W_k x_(j + (k - 2h) d),  k = 0 .. 2h,  the width being 2h + 1
(2) else:    y_j = b + sum_k W_k x_(j + (k - h) d)

which is one dense convolution of a signal with 2hd zeros before it, or with hd on both sides.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

Initializer = Callable[..., jax.Array]
Causal: TypeAlias = bool | jax.Array  # one mode for all examples, or one each, [batch]

lecun = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')
lecun_each = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal', batch_axis=(0,))
zeros = nn.initializers.zeros_init()
ones = nn.initializers.ones_init()


class Placement(Protocol):
    """Where arrays of a training step live (`jen1composer.sharding.layout`).

    `axes` are logical names; of features `batch` and `frame` besides those of weights.
    """

    def weight(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        """A weight, cast already, from where it is stored to where it is used."""

    def features(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        """Features, where they are to be."""


class Anywhere:
    """One device, or wherever the compiler puts things."""

    def weight(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        del axes
        return x

    def features(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        del axes
        return x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anywhere)

    def __hash__(self) -> int:
        return hash(Anywhere)


ANYWHERE: Placement = Anywhere()


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


def by_mode(causal: Causal, past: jax.Array, both: jax.Array) -> jax.Array:
    """`past` in the examples that are causal, `both` in the others; `[batch, ...]`."""
    if isinstance(causal, bool):
        return past if causal else both
    return jnp.where(jnp.reshape(causal, (-1, *(1,) * (both.ndim - 1))), past, both)


def padded(x: jax.Array, before: int, after: int) -> jax.Array:
    """`[batch, frame, channel]` with that many frames of zeros on either side."""
    return jnp.pad(x, ((0, 0), (before, after), (0, 0)))


class Dense(nn.Module):
    """Linear map of the last axis: `[..., in] -> [..., features]`."""

    features: int
    axes: tuple[str | None, str | None] = ('channel', None)
    use_bias: bool = True
    kernel_init: Initializer = lecun
    dtype: jnp.dtype = jnp.float32
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = parameter(
            self, 'kernel', self.kernel_init, self.axes, (x.shape[-1], self.features)
        )
        kernel = self.place.weight(kernel.astype(self.dtype), self.axes)
        y = jnp.einsum('...i,io->...o', x.astype(self.dtype), kernel)
        if self.use_bias:
            bias = parameter(self, 'bias', zeros, ('norm',), (self.features,))
            y = y + bias.astype(self.dtype)
        return y


class TrackDense(nn.Module):
    """A `Dense` for each track: `[batch, track, frame, in] -> [batch, track, frame, features]`."""

    features: int
    axes: tuple[str | None, str | None] = ('channel', None)
    kernel_init: Initializer = lecun_each
    dtype: jnp.dtype = jnp.float32
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        axes = (None, *self.axes)
        shape = (x.shape[1], x.shape[-1], self.features)
        kernels = parameter(self, 'kernels', self.kernel_init, axes, shape)
        biases = parameter(self, 'biases', zeros, (None, 'norm'), (x.shape[1], self.features))
        kernels = self.place.weight(kernels.astype(self.dtype), axes)
        y = jnp.einsum('BKTC,KCD->BKTD', x.astype(self.dtype), kernels)
        return y + biases.astype(self.dtype)[:, None]


class Conv(nn.Module):
    """Dense convolution over frames, same length: `[batch, frame, in] -> [batch, frame, features]`.

    Equations (1) and (2); the width is odd. Only this plain form is used: under a mesh XLA gives
    depthwise and grouped ones wrong gradients.
    """

    features: int
    axes: tuple[str | None, str | None] = ('channel', None)
    width: int = 3
    dilation: int = 1
    kernel_init: Initializer = lecun
    dtype: jnp.dtype = jnp.float32
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array, causal: Causal = False) -> jax.Array:
        if self.width % 2 == 0:
            raise ValueError(f'Conv.width: {self.width}; allowed are odd widths')
        axes = (None, *self.axes)
        shape = (self.width, x.shape[-1], self.features)
        kernel = parameter(self, 'kernel', self.kernel_init, axes, shape)
        bias = parameter(self, 'bias', zeros, ('norm',), (self.features,))
        half = self.dilation * (self.width // 2)
        x = x.astype(self.dtype)
        if isinstance(causal, bool):
            padding = (2 * half, 0) if causal else (half, half)
        else:  # one copy, of which each example takes what it would be padded to
            padding, frames = (0, 0), x.shape[1]
            x = padded(x, 2 * half, half)
            x = by_mode(causal, x[:, : frames + 2 * half], x[:, half:])
        y = jax.lax.conv_general_dilated(
            x,
            self.place.weight(kernel.astype(self.dtype), axes),
            window_strides=(1,),
            padding=[padding],
            rhs_dilation=(self.dilation,),
            dimension_numbers=('NWC', 'WIO', 'NWC'),
        )
        return y + bias.astype(self.dtype)


class RMSNorm(nn.Module):
    """Divides each frame's channels by their root mean square, in float32, then scales.

    (1) y = x / sqrt(mean_c(x^2) + epsilon) * scale,  c the channels of one of `groups`
    """

    epsilon: float = 1e-6
    dtype: jnp.dtype = jnp.float32
    groups: int = 1  # of channels, each normalised alone

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        scale = parameter(self, 'scale', ones, ('norm',), (x.shape[-1],))
        x32 = x.astype(jnp.float32).reshape(*x.shape[:-1], self.groups, -1)
        power = jnp.mean(jnp.square(x32), axis=-1, keepdims=True)
        y = x32 * jax.lax.rsqrt(power + self.epsilon)
        return (y.reshape(x.shape) * scale).astype(self.dtype)
