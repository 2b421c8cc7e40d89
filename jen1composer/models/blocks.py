"""What a level of the UNet is made of, and how frames are merged between levels.

Each layer works in two modes (`models.layers`). Merging f frames into one has two as well: with
zeros before the first frame, merged frame j holds

(1) else:    frames j f .. j f + f - 1
(2) causal:  frames j f - f + 1 .. j f

and in both it is split into frames j f .. j f + f - 1 again. So in (2) the first frame that merged
frame j reaches is the last one that it knows; in (1) frame j f would be told of j f + f - 1.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.models.attention import Attention, FeedForward
from jen1composer.models.layers import (
    ANYWHERE,
    Causal,
    Conv,
    Dense,
    Placement,
    RMSNorm,
    by_mode,
    padded,
    zeros,
)
from jen1composer.models.unet_config import UNetConfig


class ResidualBlock(nn.Module):
    """Two convolutions; between them the condition scales and shifts: h (1 + scale) + shift."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array, causal: Causal) -> jax.Array:
        features, place = x.shape[-1], self.place
        dtype, groups = jnp.dtype(self.config.dtype), self.config.norm_groups
        conv = functools.partial(Conv, features, dtype=dtype, place=place)
        h = nn.silu(RMSNorm(dtype=dtype, groups=groups, name='norm_in')(x))
        h = conv(('channel', 'inner'), name='conv_in')(h, causal)
        h = place.features(h, ('batch', 'frame', 'inner'))
        film = Dense(2 * features, dtype=dtype, place=place, name='film')(condition)[:, None]
        scale, shift = jnp.split(film, 2, axis=-1)  # [batch, 1, features]
        h = RMSNorm(dtype=dtype, groups=groups, name='norm_out')(h) * (1 + scale) + shift
        h = nn.silu(h)
        h = conv(('inner', 'channel'), kernel_init=zeros, name='conv_out')(h, causal)
        return place.features(x + h, ('batch', 'frame', None))


class Transformer(nn.Module):
    """Self-attention over frames, cross-attention to the context, feed-forward."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(
        self, x: jax.Array, context: jax.Array, context_mask: jax.Array, causal: Causal
    ) -> jax.Array:
        config = self.config
        dtype, groups = jnp.dtype(config.dtype), config.norm_groups
        settings: dict[str, Any] = {'dtype': dtype, 'norm_groups': groups, 'place': self.place}
        x = Attention(config.head_width, **settings, name='self')(x, causal=causal)
        x = Attention(config.head_width, **settings, name='cross')(x, context, context_mask)
        return FeedForward(config.feed_forward, **settings, name='feed_forward')(x)


def merge_frames(x: jax.Array, factor: int, causal: Causal = False) -> jax.Array:
    """`[batch, frame, channel] -> [batch, frame / factor, factor * channel]`, (1) or (2)."""
    batch, frames, channels = x.shape
    delayed = padded(x, factor - 1, 0)[:, :frames]
    x = by_mode(causal, delayed, x)
    return x.reshape(batch, frames // factor, factor * channels)


def split_frames(x: jax.Array, factor: int) -> jax.Array:
    """`[batch, frame, factor * channel] -> [batch, frame * factor, channel]`."""
    batch, frames, channels = x.shape
    return x.reshape(batch, frames * factor, channels // factor)
