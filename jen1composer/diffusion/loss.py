"""The loss: squared error on what is generated, and on nothing else.

(1) e[b, k]  = mean over frames to generate and channels of (output - target)^2,  target tracks only
(2) loss[b]  = mean of e[b, k] over the targets k of example b
(3) loss     = mean of loss[b] over the batch

A given or marginalised track has no term: the network's output there is never used. (2) weighs
every example alike, however many targets its task has, so a stage of the curriculum changes what is
asked and not how loudly.
"""

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task
from jen1composer.tracks import Role


def squared_error(output: jax.Array, target: jax.Array, task: Task) -> jax.Array:
    """Equation (1): [batch, track], zero where a track is no target or has no frame to generate."""
    is_target = (task.roles == Role.TARGET)[..., None]  # [batch, track, 1]
    generated = is_target & ~task.visible  # [batch, track, frame]
    # Selected before the square, so that a NaN outside cannot reach the gradient as 0 x NaN.
    difference = jnp.where(generated[..., None], output - target, 0.0)
    total = jnp.sum(jnp.mean(jnp.square(difference), axis=-1), axis=-1)
    return total / jnp.maximum(jnp.sum(generated, axis=-1), 1)


def example_loss(track_error: jax.Array, task: Task) -> jax.Array:
    """Equation (2): [batch, track] -> [batch]."""
    is_target = task.roles == Role.TARGET
    total = jnp.sum(jnp.where(is_target, track_error, 0.0), axis=-1)
    return total / jnp.maximum(jnp.sum(is_target, axis=-1), 1)
