"""Discriminators: networks that tell original from decoded sound, each through its own view of it.

1. By period (HiFi-GAN, arXiv 2010.05646): for each p of a few primes, sample n is put in row n // p
   and column n % p, so that a column is every p-th sample and a convolution along it sees what
   repeats, or should, at multiples of p. The primes share no multiples: together they see all.
2. By spectrum (EnCodec, arXiv 2210.13438): for each of a few window sizes, the complex short-time
   spectrum as an image of frames and bins; its real and imaginary parts, so that phase counts. Five
   decades of loudness are brought closer (ours); phase and panning stay, the slope at 0 is finite:

       X' = X (|X_left|^2 + |X_right|^2 + floor^2)^((c - 1) / 2),   c = `compression`

Both end in a map of scores, one for each place, not in one number: each place is judged by what is
around it. The maps before it are what feature matching compares.

Left and right enter as channels. Mid and side would serve as well: they are a rotation of these,
which the first layer, dense and linear, can hold in its weights.

All convolutions are dense and two-dimensional. There is no weight normalisation: it makes the step
independent of a weight's scale, which Adam does already, and its norms would run over axes that a
sharding strategy splits.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.errors import require
from jen1composer.models.layers import ANYWHERE, Placement, lecun, parameter, zeros
from jen1composer.models.spectrum import stft

SLOPE = 0.1  # of the rectifier below zero

Maps = tuple[jax.Array, ...]  # of one discriminator, first to last; the last are its scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes; a discriminator for each of `periods` and each of `sizes`."""

    # by period; each layer leaves a third of the rows, the last one all
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)  # samples
    period_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)

    # by spectrum
    sizes: tuple[int, ...] = (2048, 1024, 512)  # samples in a window
    spectrum_channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 4)  # in frames, of layers that halve the bins
    compression: float = 0.3
    floor: float = 1e-3  # -60 dB of full scale

    def __post_init__(self) -> None:
        for name, least in (('periods', 2), ('period_channels', 1), ('dilations', 1)):
            values = getattr(self, name)
            whole = all(isinstance(value, int) and value >= least for value in values)
            allowed = f'are whole numbers of {least} or more'
            require(whole, f'model.{name}', values, allowed)
        even = all(isinstance(size, int) and size >= 16 and size % 2 == 0 for size in self.sizes)
        require(even, 'model.sizes', self.sizes, 'are even numbers of 16 or more')
        for name in ('periods', 'sizes'):
            values = getattr(self, name)
            require(len(set(values)) == len(values), f'model.{name}', values, 'are distinct')
        views = self.periods + self.sizes
        require(len(views) > 0, 'model.periods and sizes', views, 'are not both empty')
        layers = self.period_channels
        require(len(layers) > 0, 'model.period_channels', layers, 'are one or more')
        for name, ok, allowed in (
            ('spectrum_channels', self.spectrum_channels >= 1, 'is 1 or more'),
            ('compression', 0 < self.compression <= 1, 'is more than 0, up to 1'),
            ('floor', 0 < self.floor < math.inf, 'is more than 0'),
        ):
            require(ok, f'model.{name}', getattr(self, name), allowed)


class Conv2D(nn.Module):
    """Dense convolution of an image: `[batch, row, column, in] -> [batch, row', column', out]`.

    Padded with zeros so that row' = ceil(row / stride), and columns likewise.
    """

    features: int
    axes: tuple[str | None, str | None]
    width: tuple[int, int]  # odd
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        axes = (None, None, *self.axes)
        kernel = parameter(self, 'kernel', lecun, axes, (*self.width, x.shape[-1], self.features))
        bias = parameter(self, 'bias', zeros, ('norm',), (self.features,))
        halves = [d * (width // 2) for d, width in zip(self.dilation, self.width, strict=True)]
        y = jax.lax.conv_general_dilated(
            x,
            self.place.weight(kernel, axes),
            window_strides=self.stride,
            padding=[(half, half) for half in halves],
            rhs_dilation=self.dilation,
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )
        return y + bias


class Layer(NamedTuple):
    """What is different from one convolution of a discriminator to the next."""

    features: int
    width: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)


def maps_of(x: jax.Array, layers: Sequence[Layer], place: Placement) -> Maps:
    """The maps of all layers in a row, each but the last rectified; within a module.

    Two at a time they are as a block is to a sharding strategy: what is between them is inner.
    """
    maps: list[jax.Array] = []
    for number, layer in enumerate(layers):
        axes = ('inner', 'channel') if number % 2 else ('channel', 'inner')
        x = Conv2D(layer.features, axes, *layer[1:], place)(x)
        if number + 1 < len(layers):
            x = rectify(x)
        x = place.features(x, ('batch', 'frame', None, None if number % 2 else 'inner'))
        maps.append(x)
    return tuple(maps)


class PeriodDiscriminator(nn.Module):
    """View 1: `[batch, sample, channel]` -> maps `[batch, row, column, feature]`."""

    period: int
    channels: tuple[int, ...]
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, waveform: jax.Array) -> Maps:
        batch, length, channels = waveform.shape
        padded = jnp.pad(waveform, ((0, 0), (0, -length % self.period), (0, 0)))
        x = padded.reshape(batch, -1, self.period, channels)
        strides = [(3, 1)] * (len(self.channels) - 1) + [(1, 1)]
        layers = [
            Layer(features, (5, 1), stride)
            for features, stride in zip(self.channels, strides, strict=True)
        ]
        return maps_of(x, [*layers, Layer(1, (3, 1))], self.place)


class SpectrumDiscriminator(nn.Module):
    """View 2: `[batch, sample, channel]` -> maps `[batch, frame, bin, feature]`."""

    config: DiscriminatorConfig
    size: int
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, waveform: jax.Array) -> Maps:
        features = self.config.spectrum_channels
        x = compressed_spectrum(waveform, self.size, self.config.compression, self.config.floor)
        layers = [Layer(features, (3, 9))]
        layers += [Layer(features, (3, 9), (1, 2), (d, 1)) for d in self.config.dilations]
        layers += [Layer(features, (3, 3)), Layer(1, (3, 3))]
        return maps_of(x, layers, self.place)


class Discriminators(nn.Module):
    """All: sound `[batch, sample, 2]` -> maps by name, `period_2`, ..., `spectrum_2048`, ..."""

    config: DiscriminatorConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, waveform: jax.Array) -> dict[str, Maps]:
        config, place = self.config, self.place
        maps: dict[str, Maps] = {}
        for period in config.periods:
            name = f'period_{period}'
            maps[name] = PeriodDiscriminator(period, config.period_channels, place, name=name)(
                waveform
            )
        for size in config.sizes:
            name = f'spectrum_{size}'
            maps[name] = SpectrumDiscriminator(config, size, place, name=name)(waveform)
        return maps


def judge(model: Discriminators, params: Any, waveform: jax.Array) -> dict[str, Maps]:
    """`Discriminators` with the parameters `params`, a tree without sharding boxes."""
    return cast(dict[str, Maps], model.apply({'params': params}, waveform))


def compressed_spectrum(
    waveform: jax.Array, size: int, compression: float, floor: float
) -> jax.Array:
    """X' of view 2: `[batch, sample, channel]` -> `[batch, frame, bin, 2 x channel]`."""
    spectrum = jnp.moveaxis(stft(waveform, size), 1, 3)  # [batch, frame, bin, channel]
    parts = jnp.concatenate([spectrum.real, spectrum.imag], axis=-1)
    power = jnp.sum(jnp.square(parts), axis=-1, keepdims=True) + np.float32(floor**2)
    return parts * power ** ((compression - 1) / 2)


def rectify(x: jax.Array) -> jax.Array:
    return nn.leaky_relu(x, SLOPE)
