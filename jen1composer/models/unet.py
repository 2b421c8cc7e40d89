"""The UNet of JEN-1 Composer: all tracks in, one prediction per track out.

(1) What comes in of each track stands side by side along channels, so that every layer sees all of
    them; only the ends, the times and the roles grow with the number of tracks. Of a track come in
    its corrupted latents and, with `spans`, those that are shown of it and a one where they are.
(2) The network is told every track's own time: the condition vector of `models.conditions` scales
    and shifts the features inside each residual block.
(3) Cross-attention looks at one context: prompt, task prefix and roles (`models.conditions`). With
    `control` tempo and key add to the condition vector, and the chord of each frame to the features
    of that frame where the tracks have come in: chords lie in time as the music does.
(4) A level is shorter than the one above because neighbouring frames are merged into one (a
    matrix); on the way up another matrix splits them again, and skips are concatenated.
(5) Nothing is normalised over time. With `norm_groups` each norm is over groups of channels, and at
    both ends, where tracks stand side by side, each track has a matrix of its own and whole groups
    of its own, so that no statistic is taken over two tracks.

The last layer starts at zero, so the first prediction is 0 and the first v-loss 1 on white latents.

For the gradient `remat` keeps all of the forward pass ('none'), only what goes into each block and
each end ('block'), or what goes into each level and each end ('full'); the rest is computed again.

The network is omnidirectional (JEN-1): per example it sees both sides, or the past alone, with one
set of weights. In a causal example no output frame depends on a later input frame:

(6) Let s_i be the product of the factors down to level i, so that its frame j begins at input
    frame s_i j. Claim: frame j of level i depends on input frames up to s_i j.
(7) It holds where input and chords enter (s_0 = 1), and a layer that stays on a level keeps it:
    matrices, norms and the condition work on each frame alone, a causal convolution and a masked
    attention look at frames up to j, and context, times and roles have no frames.
(8) Down: frame j of level i + 1 is merged from frames up to f j of level i, f being the factor
    (`models.blocks`), hence depends on inputs up to s_i f j = s_(i+1) j.
(9) Up: frame k = f j + r of level i, 0 <= r < f, is split from frame j of level i + 1, hence
    depends on inputs up to s_(i+1) j = s_i f j <= s_i k; the skip is frame k itself.
(10) So output frame n, which is at level 0, depends on input frames up to n.
"""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text, unknown_control
from jen1composer.diffusion.corruption import is_shown
from jen1composer.errors import BadInput
from jen1composer.models.blocks import ResidualBlock, Transformer, merge_frames, split_frames
from jen1composer.models.conditions import Chords, Context, ControlCondition, TimeCondition
from jen1composer.models.layers import (
    ANYWHERE,
    Causal,
    Conv,
    Dense,
    Placement,
    RMSNorm,
    TrackDense,
    zeros,
)
from jen1composer.models.unet_config import UNetConfig

__all__ = ['UNet', 'UNetConfig']


class UNet(nn.Module):
    """Per-track prediction from corrupted latents, their times, the task and the text."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(
        self, x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text
    ) -> jax.Array:
        """Predicts for every track; the caller uses what it says of the targets.

        Args:
            x: corrupted latents, [batch, track, frame, channel].
            t: one time per track, [batch, track].
            shown: clean latents where a target is visible, else 0, as x; without `spans` ignored.
            task: roles [batch, track] are shown to the network, and with `spans` what is visible;
                causal [batch], or a plain bool for all, is the mode.
            text: token states of prompt and prefix; with `control` also tempo, key and chords.

        Returns:
            [batch, track, frame, channel], float32.
        """
        config = self.config
        dtype = jnp.dtype(config.dtype)
        _, tracks, frames, channels = x.shape
        if (tracks, channels) != (config.num_tracks, config.latent_channels):
            raise ValueError(
                f'latents have {tracks} tracks of {channels} channels; '
                f'the UNet takes {config.num_tracks} of {config.latent_channels}'
            )
        if frames % config.total_factor:
            raise BadInput(f'{frames} frames; allowed are multiples of {config.total_factor}')

        condition = TimeCondition(config, self.place, name='condition')(t)  # [batch, condition]
        context, context_mask = Context(config, self.place, name='context')(
            task, text
        )  # [batch, token, width]
        causal = task.causal  # [batch]

        # Parts are functions, so that their weights are called the same however much is kept.
        def part(function: Callable[..., jax.Array], again: bool) -> Callable[..., jax.Array]:
            return functools.partial(nn.remat(function) if again else function, self)

        def level(h: jax.Array, i: int, name: str) -> jax.Array:
            function = functools.partial(apply_level, i=i, name=name)
            whole = part(function, config.remat == 'full')
            return whole(h, condition, context, context_mask, causal)

        dense = functools.partial(Dense, dtype=dtype, place=self.place)
        h = part(enter, config.remat != 'none')(x, shown, is_shown(task), causal)  # (1)
        if config.control:  # (3)
            control = text.control or unknown_control(len(x), frames)
            condition += ControlCondition(config, self.place, name='control')(control)
            h += Chords(config, self.place, name='chords')(control)
        skips = []
        bottom = len(config.channels) - 1
        for i in range(bottom + 1):  # (4)
            if i > 0:
                skips.append(h)
                h = merge_frames(h, config.factors[i], causal)
                h = dense(config.channels[i], name=f'down_{i}_merge')(h)
            h = level(h, i, 'bottom' if i == bottom else 'down')
        for i in reversed(range(bottom)):
            factor = config.factors[i + 1]
            h = dense(config.channels[i] * factor, name=f'up_{i}_split')(h)
            h = jnp.concatenate([split_frames(h, factor), skips.pop()], axis=-1)
            h = dense(config.channels[i], name=f'up_{i}_join')(h)
            h = level(h, i, 'up')
        return part(leave, config.remat != 'none')(h, causal)


def enter(
    unet: UNet, x: jax.Array, shown: jax.Array, is_visible: jax.Array, causal: Causal
) -> jax.Array:
    """All that comes in of the tracks, to `[batch, frame, channel]` of the first level."""
    config, place = unet.config, unet.place
    dtype, groups = jnp.dtype(config.dtype), config.norm_groups
    if config.spans:
        x = jnp.concatenate([x, shown, is_visible.astype(x.dtype)], axis=-1)
    if groups == 1:
        h = beside(x)
    else:  # (5)
        h = beside(
            TrackDense(
                config.channels[0], (None, 'channel'), dtype=dtype, place=place, name='embed'
            )(x)
        )
        h = RMSNorm(dtype=dtype, groups=groups, name='embed_norm')(h)
    conv = Conv(config.channels[0], (None, 'channel'), dtype=dtype, place=place, name='enter')
    return place.features(conv(h, causal), ('batch', 'frame', None))


def leave(unet: UNet, h: jax.Array, causal: Causal) -> jax.Array:
    """The last features to the prediction, `[batch, track, frame, channel]`, float32."""
    config, place = unet.config, unet.place
    dtype, groups = jnp.dtype(config.dtype), config.norm_groups
    tracks, channels = config.num_tracks, config.latent_channels
    h = nn.silu(RMSNorm(dtype=dtype, groups=groups, name='leave_norm')(h))
    if groups == 1:
        conv = Conv(tracks * channels, kernel_init=zeros, place=place, name='leave')
        return apart(conv(h.astype(jnp.float32), causal), tracks)
    h = Conv(tracks * config.channels[0], dtype=dtype, place=place, name='leave')(h, causal)
    h = nn.silu(RMSNorm(dtype=dtype, groups=groups, name='unembed_norm')(h))  # (5)
    h = apart(h, tracks).astype(jnp.float32)
    return TrackDense(channels, kernel_init=zeros, place=place, name='unembed')(h)


def apply_level(
    unet: UNet,
    h: jax.Array,
    condition: jax.Array,
    context: jax.Array,
    context_mask: jax.Array,
    causal: Causal,
    *,
    i: int,
    name: str,
) -> jax.Array:
    """The blocks of level `i`, on one of its sides; their weights are those of `unet`."""
    config = unet.config
    residual_block, transformer = ResidualBlock, Transformer
    if config.remat != 'none':
        residual_block, transformer = nn.remat(ResidualBlock), nn.remat(Transformer)
    for block in range(config.blocks[i]):
        prefix = f'{name}_{i}_residual_{block}'
        h = residual_block(config, unet.place, name=prefix)(h, condition, causal)
        for layer in range(config.attentions[i]):
            prefix = f'{name}_{i}_transformer_{block}_{layer}'
            h = transformer(config, unet.place, name=prefix)(h, context, context_mask, causal)
    return h


def beside(x: jax.Array) -> jax.Array:
    """Tracks side by side: `[batch, track, frame, channel] -> [batch, frame, track x channel]`."""
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def apart(x: jax.Array, tracks: int) -> jax.Array:
    """The inverse of `beside`."""
    batch, frames, _ = x.shape
    return x.reshape(batch, frames, tracks, -1).transpose(0, 2, 1, 3)
