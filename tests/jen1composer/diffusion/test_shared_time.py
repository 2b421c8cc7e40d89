"""What a model of one time is shown when it is asked for less than all tracks."""

import jax.numpy as jnp
import numpy as np

from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.diffusion.shared_time import at_one_time, joined_tasks
from jen1composer.tracks import Role
from tests import tiny

ROLES = ((0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 1, 0))
SCHEDULE = CosineSchedule()


def asked(t):
    """What the model is called with, for tracks that are given or targets at `t` [batch]."""
    batch = tiny.make_batch(ROLES)
    noise = jnp.asarray(np.random.default_rng(1).normal(size=batch.latents.shape))
    times = jnp.where(batch.task.roles == Role.CONDITION, 0.0, t[:, None])
    seen = {}

    def predict(x, t, shown, task, text):
        seen.update(x=x, t=t, roles=task.roles)
        return x

    at_one_time(predict, noise, SCHEDULE)(
        batch.latents, times, jnp.zeros_like(noise), batch.task, batch.text
    )
    return batch, noise, seen


def test_all_tracks_have_the_time_of_the_targets_and_are_targets():
    t = jnp.array([0.3, 0.6, 0.9])
    _, _, seen = asked(t)
    assert np.array_equal(seen['t'], np.tile(t[:, None], 4))
    assert not np.any(seen['roles'])


def test_a_given_track_is_corrupted_to_that_time_and_the_targets_are_as_they_came():
    t = jnp.array([0.3, 0.6, 0.9])
    batch, noise, seen = asked(t)
    given = (np.array(ROLES) == Role.CONDITION)[..., None, None]
    corrupted = corrupt(batch.latents, noise, jnp.tile(t[:, None], 4), SCHEDULE)
    assert np.array_equal(seen['x'], np.where(given, corrupted, batch.latents))


def test_at_the_end_a_given_track_is_itself():
    batch, _, seen = asked(jnp.zeros(3))
    assert np.array_equal(seen['x'], batch.latents)


def test_a_marginal_track_is_generated_along():
    task = joined_tasks(tiny.make_task(tiny.ROLES, 8))
    roles = np.array(tiny.ROLES)
    assert np.array_equal(task.roles, np.where(roles == Role.MARGINAL, Role.TARGET, roles))
