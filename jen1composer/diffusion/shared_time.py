"""One time for all tracks: what a model without times of their own can do, to compare with.

Such a model was trained with every track a target, so it knows the joint law at one time s and
nothing else. It is asked for less than that in the usual way (arXiv 2011.13456, section 5; for
tracks MSDM, arXiv 2302.02257), by replacement while it samples: at the time s of the targets,

(1) a given track is        alpha(s) x_0 + sigma(s) epsilon, with one epsilon for all s
(2) a marginalised track is generated along and then dropped: to the model it is a target

(1) is an approximation: the model never sees x_0 itself before s = 0, and its prediction for the
targets does not know that the given track will end there.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.guidance import Predictor
from jen1composer.diffusion.schedule import Schedule, over_latents
from jen1composer.tracks import Role


def at_one_time(predict: Predictor, noise: jax.Array, schedule: Schedule) -> Predictor:
    """`predict` for tasks with given tracks, by equation (1).

    Args:
        predict: of a model that was trained with all tracks as targets.
        noise: [batch, track, frame, channel], epsilon of (1).
        schedule: that it was trained with.

    The tasks it is then asked have no marginal track, see `joined_tasks`.
    """

    def replaced(x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text) -> jax.Array:
        given = jnp.asarray(task.roles) == Role.CONDITION
        s = jnp.broadcast_to(jnp.max(jnp.where(given, 0.0, t), axis=1, keepdims=True), t.shape)
        x = jnp.where(over_latents(given), corrupt(x, noise, s, schedule), x)
        roles = jnp.full_like(task.roles, int(Role.TARGET))
        return predict(x, s, shown, dataclasses.replace(task, roles=roles), text)

    return replaced


def joined_tasks(task: Task) -> Task:
    """Equation (2): marginalised tracks as targets."""
    roles = jnp.asarray(task.roles)
    return dataclasses.replace(
        task, roles=jnp.where(roles == Role.MARGINAL, int(Role.TARGET), roles)
    )
