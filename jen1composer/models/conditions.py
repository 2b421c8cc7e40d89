"""What the UNet is told beside the latents: every track's time, and the context of its attention.

(1) The condition vector is  c = MLP(concat_k sinusoids(w t_k)),  with frequencies w evenly spaced
    in the logarithm, from 0.1 to 1000 radians per unit of time. They are fixed, or learned from
    there on.
(2) The context is the prompt's token states (or a learned null in their place), the task prefix's
    token states and a learned token for each track's role. It may be mapped to another width, once
    for all the layers that look at it.
(3) Padding is set to zero before anything is computed from it: 0 x NaN would be NaN.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.models.layers import ANYWHERE, Dense, Placement, lecun, parameter
from jen1composer.models.unet_config import UNetConfig
from jen1composer.tracks import Role


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
