"""Attention over frames and over a context, with masks that padding cannot get around.

With queries Q from x and keys and values from `context` (x itself for self-attention), per head:

(1) softmax(Q K^T / sqrt(D) + mask) V

Letters: B batch, T query frame, S key position, H head, D head width. Padded positions of a context
are set to zero before anything is computed from them, so that a NaN there cannot spread as 0 x NaN,
and their logits to the most negative number, so that they take no attention. Where a row is causal
the same becomes of the logits of later frames, whose weights are then exactly 0.

Self-attention turns queries and keys by an angle proportional to their frame (rotary embedding,
arXiv 2104.09864), so that logits depend on the distance between frames and not on where a window
starts.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.errors import BadInput
from jen1composer.models.layers import ANYWHERE, Causal, Dense, Placement, RMSNorm


def rotate(x: jax.Array, longest: float = 1000.0) -> jax.Array:
    """Rotary embedding of `[batch, frame, head, width]`; periods up to 2 pi `longest` frames."""
    half = x.shape[-1] // 2
    frequency = longest ** -(jnp.arange(half) / half)
    angle = jnp.arange(x.shape[1])[:, None, None] * frequency  # [frame, 1, width / 2]
    cos, sin = jnp.cos(angle).astype(x.dtype), jnp.sin(angle).astype(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def attention_mask(
    num_frames: int, context_mask: jax.Array | None, causal: Causal
) -> jax.Array | None:
    """Which keys each query may look at, bool `[batch or 1, 1, query or 1, key]`; None is all."""
    if context_mask is not None:
        return context_mask[:, None, None, :]
    if isinstance(causal, bool) and not causal:
        return None
    frame = jnp.arange(num_frames)
    both = jnp.reshape(jnp.logical_not(jnp.asarray(causal)), (-1, 1, 1, 1))
    return both | (frame <= frame[:, None])


class Attention(nn.Module):
    """Pre-normalised attention with a residual: `[batch, frame, channel]` to the same shape."""

    head_width: int
    dtype: jnp.dtype = jnp.float32
    norm_groups: int = 1
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        context: jax.Array | None = None,
        context_mask: jax.Array | None = None,
        causal: Causal = False,
    ) -> jax.Array:
        """Attends to `context` [batch, token, width] where `context_mask` is True, or to x.

        `causal`, per example or for all, is about x: a context has no time.
        """
        channels = x.shape[-1]
        heads = channels // self.head_width
        if heads * self.head_width != channels:
            raise BadInput(f'head_width: {self.head_width}; allowed are divisors of {channels}')
        h = RMSNorm(dtype=self.dtype, groups=self.norm_groups, name='norm')(x)
        if context is None:
            source = h
        else:
            assert context_mask is not None
            source = jnp.where(context_mask[..., None], context, 0.0).astype(self.dtype)

        dense = functools.partial(Dense, channels, dtype=self.dtype, place=self.place)

        def project(name: str, z: jax.Array, along: str | None) -> jax.Array:  # [B, T or S, H, D]
            y = dense(('channel', 'heads'), use_bias=False, name=name)(z)
            y = y.reshape(*y.shape[:-1], heads, self.head_width)
            return self.place.features(y, ('batch', along, 'heads', None))

        along = 'frame' if context is None else None
        query = project('query', h, 'frame')
        key, value = project('key', source, along), project('value', source, along)
        if context is None:
            query, key = rotate(query), rotate(key)
        logits = jnp.einsum('BTHD,BSHD->BHTS', query, key).astype(jnp.float32)
        logits = logits * self.head_width**-0.5
        mask = attention_mask(x.shape[1], context_mask, causal)
        if mask is not None:
            logits = jnp.where(mask, logits, jnp.finfo(jnp.float32).min)
        weights = jax.nn.softmax(logits, axis=-1).astype(self.dtype)  # (1)
        y = jnp.einsum('BHTS,BSHD->BTHD', weights, value).reshape(x.shape)
        x = x + dense(('heads', 'channel'), name='out')(y)
        return self.place.features(x, ('batch', 'frame', None))


class FeedForward(nn.Module):
    """Pre-normalised two-layer perceptron with a residual, `multiplier` times as wide inside."""

    multiplier: int
    dtype: jnp.dtype = jnp.float32
    norm_groups: int = 1
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        dense = functools.partial(Dense, dtype=self.dtype, place=self.place)
        h = RMSNorm(dtype=self.dtype, groups=self.norm_groups, name='norm')(x)
        h = dense(channels * self.multiplier, ('channel', 'inner'), name='in')(h)
        h = self.place.features(h, ('batch', 'frame', 'inner'))
        x = x + dense(channels, ('inner', 'channel'), name='out')(nn.gelu(h))
        return self.place.features(x, ('batch', 'frame', None))
