"""Corruption: given tracks untouched, marginal ones gone, targets at the time asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.corruption import corrupt, track_times
from jen1composer.diffusion.schedule import CosineSchedule
from jen1composer.tracks import Role
from tests import gaussian

ROLES = jnp.array([tuple(map(int, roles)) for roles in gaussian.all_roles()])  # [task, track]
SHAPE = (*ROLES.shape, 3, 2)


def corrupted(x0: jax.Array, t: float) -> tuple[jax.Array, jax.Array]:
    noise = jax.random.normal(jax.random.key(1), SHAPE)
    times = track_times(ROLES, jnp.full(len(ROLES), t))
    return jax.jit(corrupt, static_argnums=3)(x0, noise, times, CosineSchedule()), noise


def clean() -> jax.Array:
    return jax.random.normal(jax.random.key(0), SHAPE)


def test_each_role_has_its_time():
    times = track_times(jnp.array([[0, 1, 2], [2, 0, 0]]), jnp.array([0.25, 0.5]))
    np.testing.assert_array_equal(times, [[0.25, 0, 1], [1, 0.5, 0.5]])


@pytest.mark.parametrize('t', [1e-3, 0.5, 1.0])
def test_given_tracks_are_bit_equal_and_marginal_ones_pure_noise(t):
    x0 = clean()
    x, noise = corrupted(x0, t)
    np.testing.assert_array_equal(x[ROLES == Role.CONDITION], x0[ROLES == Role.CONDITION])
    np.testing.assert_array_equal(x[ROLES == Role.MARGINAL], noise[ROLES == Role.MARGINAL])


def test_targets_are_mixed_at_their_time():
    x0 = clean()
    x, noise = corrupted(x0, 1 / 3)
    mixed = np.cos(np.pi / 6) * x0 + np.sin(np.pi / 6) * noise
    target = ROLES == Role.TARGET
    np.testing.assert_allclose(x[target], mixed[target], atol=1e-6)


@pytest.mark.parametrize('content', [1e30, np.nan, np.inf])
def test_what_a_marginal_track_held_reaches_nothing(content):
    x0 = clean()
    spoiled = jnp.where((ROLES == Role.MARGINAL)[..., None, None], content, x0)
    x, _ = corrupted(x0, 0.7)
    y, _ = corrupted(spoiled, 0.7)
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize('content', [np.nan, np.inf])
def test_noise_on_a_given_track_reaches_nothing(content):
    x0 = clean()
    noise = jnp.where((ROLES == Role.CONDITION)[..., None, None], content, 0.5)
    times = track_times(ROLES, jnp.full(len(ROLES), 0.7))
    assert np.isfinite(corrupt(x0, noise, times, CosineSchedule())).all()
