"""The UNet of JEN-1 Composer: all tracks in, one prediction per track out.

(1) The latents of the tracks are concatenated along channels, so that every layer sees all of them;
    only the first and the last layer grow with the number of tracks.
(2) The network is told every track's own time. The condition vector is
        c = MLP(concat_k sinusoids(t_k))
    and scales and shifts the features inside each residual block: h (1 + scale(c)) + shift(c).
(3) Cross-attention looks at one context: the prompt's token states (or a learned null in their
    place), the task prefix's token states, and a learned token for each track's role.
(4) A level is shorter than the one above because neighbouring frames are merged into one (a
    matrix); on the way up another matrix splits them again, and skips are concatenated.

Nothing is normalised over time or across the concatenated ends, where tracks stand side by side.
The last layer starts at zero, so the first prediction is 0 and the first v-loss 1 on white latents.
"""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.errors import BadInput, require
from jen1composer.models.attention import Attention, FeedForward
from jen1composer.models.layers import Conv, Dense, RMSNorm, lecun, parameter, zeros
from jen1composer.tracks import Role

DTYPES = ('float32', 'bfloat16')


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The shape of a UNet. The columns of `structure` read downwards, one entry per level."""

    # what comes in
    num_tracks: int
    latent_channels: int
    text_width: int

    # structure
    channels: tuple[int, ...]  # width
    factors: tuple[int, ...]  # frames merged into one before the level
    blocks: tuple[int, ...]  # residual blocks
    attentions: tuple[int, ...]  # transformer blocks after each residual block

    # attention
    head_width: int = 32
    feed_forward: int = 2  # times the width of the level

    # conditions
    condition_width: int = 128
    time_frequencies: int = 32
    use_prefix: bool = True  # the task prefix as text
    use_role_tokens: bool = True  # the task as learned tokens

    dtype: str = 'float32'  # of the arithmetic; parameters are float32

    def __post_init__(self) -> None:
        if self.factors[:1] != (1,):
            raise BadInput(f'UNetConfig.factors: {self.factors}; the first level merges nothing: 1')
        columns = (self.channels, self.factors, self.blocks, self.attentions)
        if len({len(column) for column in columns}) != 1:
            raise BadInput(
                'UNetConfig: one entry per level is needed, got '
                f'channels={self.channels}, factors={self.factors}, '
                f'blocks={self.blocks}, attentions={self.attentions}'
            )
        for name in ('channels', 'factors', 'blocks', 'attentions'):
            least = 0 if name in ('blocks', 'attentions') else 1
            values = getattr(self, name)
            whole = all(isinstance(value, int) and value >= least for value in values)
            require(whole, f'model.{name}', values, f'are whole numbers of {least} or more')
        even = self.head_width >= 2 and self.head_width % 2 == 0  # halves are rotated
        require(even, 'model.head_width', self.head_width, 'are even numbers of 2 or more')
        for width, attentions in zip(self.channels, self.attentions, strict=True):
            fits = not attentions or width % self.head_width == 0
            allowed = f'are multiples of the head width {self.head_width} where there is attention'
            require(fits, 'model.channels', self.channels, allowed)
        for name in ('feed_forward', 'condition_width', 'time_frequencies'):
            require(getattr(self, name) >= 1, f'model.{name}', getattr(self, name), 'is 1 or more')
        require(self.dtype in DTYPES, 'model.dtype', self.dtype, f'are {", ".join(DTYPES)}')

    @property
    def total_factor(self) -> int:
        """The number of frames must be a multiple of this."""
        return math.prod(self.factors)


class UNet(nn.Module):
    """Per-track prediction from corrupted latents, their times, the task and the text."""

    config: UNetConfig

    @nn.compact
    def __call__(
        self, x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text
    ) -> jax.Array:
        """Predicts for every track; the caller uses what it says of the targets.

        Args:
            x: corrupted latents, [batch, track, frame, channel].
            t: one time per track, [batch, track].
            shown: clean latents where a target is visible, else 0, as x.
            task: roles [batch, track] are shown to the network.
            text: token states of prompt and prefix.

        Returns:
            [batch, track, frame, channel], float32.
        """
        config = self.config
        dtype = jnp.dtype(config.dtype)
        batch, tracks, frames, channels = x.shape
        if (tracks, channels) != (config.num_tracks, config.latent_channels):
            raise ValueError(
                f'latents have {tracks} tracks of {channels} channels; '
                f'the UNet takes {config.num_tracks} of {config.latent_channels}'
            )
        if frames % config.total_factor:
            raise BadInput(f'{frames} frames; allowed are multiples of {config.total_factor}')

        condition = TimeCondition(config, name='condition')(t)  # [batch, condition]
        context, context_mask = Context(config, name='context')(task, text)  # [batch, token, width]

        def level(h: jax.Array, i: int, name: str) -> jax.Array:
            for block in range(config.blocks[i]):
                h = ResidualBlock(config.channels[i], dtype, name=f'{name}_{i}_residual_{block}')(
                    h, condition
                )
                for layer in range(config.attentions[i]):
                    prefix = f'{name}_{i}_transformer_{block}_{layer}'
                    h = Transformer(config, name=prefix)(h, context, context_mask)
            return h

        h = x.transpose(0, 2, 1, 3).reshape(batch, frames, tracks * channels)  # (1)
        h = Conv(config.channels[0], dtype=dtype, name='enter')(h)
        skips = []
        bottom = len(config.channels) - 1
        for i in range(bottom + 1):  # (4)
            if i > 0:
                skips.append(h)
                h = merge_frames(h, config.factors[i])
                h = Dense(config.channels[i], dtype=dtype, name=f'down_{i}_merge')(h)
            h = level(h, i, 'bottom' if i == bottom else 'down')
        for i in reversed(range(bottom)):
            factor = config.factors[i + 1]
            h = Dense(config.channels[i] * factor, dtype=dtype, name=f'up_{i}_split')(h)
            h = jnp.concatenate([split_frames(h, factor), skips.pop()], axis=-1)
            h = Dense(config.channels[i], dtype=dtype, name=f'up_{i}_join')(h)
            h = level(h, i, 'up')
        h = nn.silu(RMSNorm(dtype=dtype, name='leave_norm')(h))
        y = Conv(tracks * channels, kernel_init=zeros, name='leave')(h.astype(jnp.float32))
        return y.reshape(batch, frames, tracks, channels).transpose(0, 2, 1, 3)


class TimeCondition(nn.Module):
    """Equation (2): times `[batch, track]` -> condition vector `[batch, condition]`, float32."""

    config: UNetConfig

    @nn.compact
    def __call__(self, t: jax.Array) -> jax.Array:
        config = self.config
        # From 1000 radians per unit of time down to 0.1, evenly spaced in the logarithm.
        steps = jnp.arange(config.time_frequencies) / max(1, config.time_frequencies - 1)
        angle = t[..., None] * (1000.0 * 10_000.0**-steps)  # [batch, track, frequency]
        sinusoids = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
        h = Dense(config.condition_width, name='in')(sinusoids.reshape(t.shape[0], -1))
        return nn.silu(Dense(config.condition_width, name='out')(nn.silu(h)))


class Context(nn.Module):
    """Equation (3): what cross-attention looks at, `[batch, token, width]`, and its mask."""

    config: UNetConfig

    @nn.compact
    def __call__(self, task: Task, text: Text) -> tuple[jax.Array, jax.Array]:
        config = self.config
        batch, num_tokens, width = text.prompt.shape
        if width != config.text_width:
            raise ValueError(f'text states are {width} wide; the UNet takes {config.text_width}')
        null = parameter(self, 'null', lecun, (None, 'norm'), (1, width))
        keep = text.use_prompt[:, None]  # [batch, 1]
        first = jnp.arange(num_tokens) == 0  # the null is one token
        states = [jnp.where(keep[..., None], text.prompt, null)]
        masks = [jnp.where(keep, text.prompt_mask, first)]
        if config.use_prefix:
            states.append(jnp.asarray(text.prefix))
            masks.append(jnp.asarray(text.prefix_mask))
        if config.use_role_tokens:
            rows = config.num_tracks * len(Role)
            table = parameter(self, 'role_tokens', lecun, (None, 'norm'), (rows, width))
            row = task.roles + len(Role) * jnp.arange(config.num_tracks)  # [batch, track]
            states.append(table[row])
            masks.append(jnp.ones((batch, config.num_tracks), bool))
        return jnp.concatenate(states, axis=1), jnp.concatenate(masks, axis=1)


class ResidualBlock(nn.Module):
    """Two convolutions; between them the condition scales and shifts, equation (2)."""

    features: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        h = nn.silu(RMSNorm(dtype=self.dtype, name='norm_in')(x))
        h = Conv(self.features, dtype=self.dtype, name='conv_in')(h)
        film = Dense(2 * self.features, dtype=self.dtype, name='film')(condition)[:, None]
        scale, shift = jnp.split(film, 2, axis=-1)  # [batch, 1, features]
        h = RMSNorm(dtype=self.dtype, name='norm_out')(h) * (1 + scale) + shift
        h = Conv(self.features, kernel_init=zeros, dtype=self.dtype, name='conv_out')(nn.silu(h))
        if x.shape[-1] != self.features:
            x = Dense(self.features, dtype=self.dtype, name='skip')(x)
        return x + h


class Transformer(nn.Module):
    """Self-attention over frames, cross-attention to the context, feed-forward."""

    config: UNetConfig

    @nn.compact
    def __call__(self, x: jax.Array, context: jax.Array, context_mask: jax.Array) -> jax.Array:
        dtype = jnp.dtype(self.config.dtype)
        x = Attention(self.config.head_width, dtype, name='self')(x)
        x = Attention(self.config.head_width, dtype, name='cross')(x, context, context_mask)
        return FeedForward(self.config.feed_forward, dtype, name='feed_forward')(x)


def merge_frames(x: jax.Array, factor: int) -> jax.Array:
    """`[batch, frame, channel] -> [batch, frame / factor, factor * channel]`."""
    batch, frames, channels = x.shape
    return x.reshape(batch, frames // factor, factor * channels)


def split_frames(x: jax.Array, factor: int) -> jax.Array:
    """`[batch, frame, factor * channel] -> [batch, frame * factor, channel]`."""
    batch, frames, channels = x.shape
    return x.reshape(batch, frames * factor, channels // factor)
