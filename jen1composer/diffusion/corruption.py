"""Corruption with one time per track (JEN-1 Composer; UniDiffuser, arXiv 2303.06555).

For track k of an example whose targets are at time t:

(1) t_k = t for a target, 0 for a given track, 1 for a marginalised one
(2) x_k = alpha(t_k) x_0k + sigma(t_k) epsilon_k,   epsilon_k independent per track

At the ends (2) selects instead of adding: a given track is x_0 bit for bit, and what a marginalised
track held before, NaN included, cannot reach anything.

Where a target is visible (inpainting, continuation) its clean latents are shown beside x:

(3) shown_k = x_0k where target k is visible, 0 elsewhere
"""

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task
from jen1composer.diffusion.schedule import Schedule, over_latents
from jen1composer.tracks import Role


def track_times(roles: jax.Array, t: jax.Array) -> jax.Array:
    """Equation (1): roles `[batch, track]` and target times `[batch]` -> `[batch, track]`."""
    held = jnp.where(roles == Role.CONDITION, 0.0, 1.0)
    return jnp.where(roles == Role.TARGET, t[:, None], held)


def corrupt(x0: jax.Array, noise: jax.Array, t: jax.Array, schedule: Schedule) -> jax.Array:
    """Equation (2).

    Args:
        x0: clean latents, [batch, track, frame, channel].
        noise: standard normal, same shape.
        t: one time per track, [batch, track].
        schedule: gives alpha and sigma.
    """
    alpha, sigma = schedule.alpha_sigma(t)
    mixed = over_latents(alpha) * x0 + over_latents(sigma) * noise
    return jnp.where(over_latents(t <= 0), x0, jnp.where(over_latents(t >= 1), noise, mixed))


def shown_latents(x0: jax.Array, task: Task) -> jax.Array:
    """Equation (3): `[batch, track, frame, channel]`; what x0 holds elsewhere cannot reach it."""
    return jnp.where(is_shown(task), x0, 0.0)


def is_shown(task: Task) -> jax.Array:
    """Where (3) shows something: a visible frame of a target, `[batch, track, frame, 1]`."""
    is_target = (jnp.asarray(task.roles) == Role.TARGET)[..., None]
    return (is_target & task.visible)[..., None]
