"""What the UNet is told beside the latents: every track's time, and the context of its attention.

(1) The condition vector is  c = MLP(concat_k sinusoids(w t_k)),  with frequencies w evenly spaced
    in the logarithm, from 0.1 to 1000 radians per unit of time. They are fixed, or learned from
    there on.
(2) The context is the prompt's token states (or a learned null in their place), the task prefix's
    token states and a learned token for each track's role. It may be mapped to another width, once
    for all the layers that look at it.
(3) Padding is set to zero before anything is computed from it: 0 x NaN would be NaN.
(4) Tempo and key add to the condition vector what an MLP makes of them: of a tempo b the sinusoids
    of 2 pi f log2(b / 120), f = 1/4 .. 8 periods an octave, and whether it is known; of a key its
    scale and its number (`harmony.key_features`), one number of which stands for an unknown key.
(5) Each frame has what one matrix makes of its chord's notes and number (`harmony.chord_features`).

The last matrices of (4) and (5) begin at zero: a network that was trained without them begins as it
was.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Control, Task, Text
from jen1composer.harmony import chord_features, key_features
from jen1composer.models.layers import ANYWHERE, Dense, Placement, lecun, parameter, zeros
from jen1composer.models.unet_config import UNetConfig
from jen1composer.tracks import Role

USUAL_BPM = 120.0
PERIODS_AN_OCTAVE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def frequencies(count: int) -> jax.Array:
    """From 1000 radians per unit of time down to 0.1, evenly spaced in the logarithm."""
    return 1000.0 * 10_000.0 ** -(jnp.arange(count) / max(1, count - 1))


def spaced(key: jax.Array, shape: tuple[int]) -> jax.Array:
    """An initialiser: what is learned begins as what would be fixed."""
    del key
    return frequencies(*shape)


class TimeCondition(nn.Module):
    """Equation (1): times `[batch, track]` -> condition vector `[batch, condition]`, float32."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, t: jax.Array) -> jax.Array:
        config = self.config
        frequency = frequencies(config.time_frequencies)
        if config.time_embedding == 'learned':
            frequency = parameter(self, 'frequencies', spaced, ('norm',), frequency.shape)
        angle = t[..., None] * frequency  # [batch, track, frequency]
        sinusoids = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
        dense = functools.partial(Dense, config.condition_width, place=self.place)
        h = dense(name='in')(sinusoids.reshape(t.shape[0], -1))
        return nn.silu(dense(name='out')(nn.silu(h)))


class Context(nn.Module):
    """Equations (2) and (3): `[batch, token, width]` and its mask `[batch, token]`."""

    config: UNetConfig
    place: Placement = ANYWHERE

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
        mask = jnp.concatenate(masks, axis=1)
        context = jnp.where(mask[..., None], jnp.concatenate(states, axis=1), 0.0)
        if config.context_width is not None:
            dtype = jnp.dtype(config.dtype)
            project = Dense(config.context_width, dtype=dtype, place=self.place, name='project')
            context = project(context)
        return context, mask


class ControlCondition(nn.Module):
    """Equation (4): what tempo and key add to the condition vector, `[batch, condition]`."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, control: Control) -> jax.Array:
        dense = functools.partial(Dense, self.config.condition_width, place=self.place)
        bpm = jnp.asarray(control.bpm)
        known = bpm > 0  # [batch]
        octaves = jnp.log2(jnp.where(known, bpm, USUAL_BPM) / USUAL_BPM)
        angle = 2 * jnp.pi * octaves[:, None] * jnp.array(PERIODS_AN_OCTAVE)
        tempo = jnp.concatenate([jnp.sin(angle), jnp.cos(angle), jnp.ones_like(angle[:, :1])], -1)
        key = jnp.asarray(key_features())[control.key]
        told = jnp.concatenate([jnp.where(known[:, None], tempo, 0.0), key], axis=-1)
        return dense(kernel_init=zeros, name='out')(nn.silu(dense(name='in')(told)))


class Chords(nn.Module):
    """Equation (5): what chords add to the features of the first level, `[batch, frame, width]`."""

    config: UNetConfig
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(self, control: Control) -> jax.Array:
        config = self.config
        told = jnp.asarray(chord_features())[control.chords]  # [batch, frame, feature]
        dense = Dense(
            config.channels[0],
            (None, 'channel'),
            use_bias=False,
            kernel_init=zeros,
            dtype=jnp.dtype(config.dtype),
            place=self.place,
            name='embed',
        )
        return self.place.features(dense(told), ('batch', 'frame', None))
