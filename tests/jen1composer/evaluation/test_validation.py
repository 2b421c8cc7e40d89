"""Validation losses against closed forms: of who knows all, of who listens, and who does not."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.schedule import over_latents
from jen1composer.evaluation.validation import (
    bin_centres,
    conditioning_gap,
    make_loss_at,
    make_zero_loss_at,
    mean_interval,
    time_bins,
)
from jen1composer.tracks import Role
from jen1composer.training.composer_step import DiffusionConfig
from tests import tiny

DIFFUSION = DiffusionConfig()
SEED, BINS = 3, 4
TWO_GIVEN = ((Role.CONDITION, Role.CONDITION, Role.TARGET, Role.TARGET),) * 8


def alpha_sigma():
    """At the centre of each bin, [bin]."""
    return DIFFUSION.schedule.alpha_sigma(jnp.asarray(bin_centres(BINS)))


def velocity(x, x0, t):
    """The v-prediction that a guess at x_0 amounts to; 0 at t = 0, where it is not asked for."""
    alpha, sigma = map(over_latents, DIFFUSION.schedule.alpha_sigma(t))
    noise = (x - alpha * x0) / jnp.where(sigma > 0, sigma, 1.0)
    return jnp.where(sigma > 0, alpha * noise - sigma * x0, 0.0)


class Knows(nn.Module):
    """Has the clean latents as its weights."""

    @nn.compact
    def __call__(self, x, t, shown, task, text):
        return velocity(x, self.param('x0', nn.initializers.zeros, x.shape), t)


class Listens(nn.Module):
    """Takes every track for a copy of the given ones."""

    def __call__(self, x, t, shown, task, text):
        given = (jnp.asarray(task.roles) == Role.CONDITION)[..., None, None]
        guess = jnp.sum(jnp.where(given, x, 0.0), axis=1, keepdims=True) / jnp.sum(
            given, axis=1, keepdims=True
        )
        return velocity(x, guess, t)


class Ignores(nn.Module):
    """Looks at each track alone."""

    def __call__(self, x, t, shown, task, text):
        return jnp.tanh(x)


def loss_of(model, params=None):
    return functools.partial(make_loss_at(model, DIFFUSION, SEED), params or {})


def copies(seed):
    """A batch whose four tracks are the same white noise."""
    batch = tiny.make_batch(TWO_GIVEN, num_frames=64, num_channels=4, seed=seed)
    return dataclasses.replace(batch, latents=np.repeat(batch.latents[:, :1], 4, axis=1))


@pytest.mark.parametrize('variance', [1.0, 4.0])
def test_a_prediction_of_zero_scores_alpha_squared_plus_sigma_squared_times_the_variance(variance):
    batch = tiny.make_batch(num_frames=128, num_channels=16)
    batch = dataclasses.replace(batch, latents=batch.latents * np.sqrt(variance))
    alpha, sigma = alpha_sigma()
    loss = time_bins(make_zero_loss_at(DIFFUSION, SEED), [batch], BINS)
    np.testing.assert_allclose(loss, alpha**2 + sigma**2 * variance, rtol=0.03)  # white: 1


def test_who_knows_the_answer_has_no_loss():
    batch = tiny.make_batch(num_frames=32)
    loss = time_bins(loss_of(Knows(), {'x0': jnp.asarray(batch.latents)}), [batch], BINS)
    assert (loss >= 0).all()
    assert (loss < 1e-9).all()


def test_the_loss_of_an_example_does_not_depend_on_its_batch():
    batch = tiny.make_batch(num_frames=16)
    halves = [jax.tree.map(lambda leaf, s=s: leaf[s : s + 4], batch) for s in (0, 4)]
    zero = make_zero_loss_at(DIFFUSION, SEED)
    together = zero(batch, 0.3)
    apart = np.concatenate([zero(half, 0.3) for half in halves])
    np.testing.assert_allclose(together, apart, rtol=1e-6)
    np.testing.assert_allclose(
        time_bins(zero, [batch], BINS), time_bins(zero, halves, BINS), rtol=1e-6
    )


def test_the_gap_of_who_listens_is_that_of_the_closed_form():
    # With x_0 taken for an independent y, the error in v is (x_0 - y) / sigma: 2 / sigma^2 on
    # average, where with the true y = x_0 it is 0.
    true, strangers = [copies(0), copies(1)], [copies(2), copies(3)]
    mean, low, high = conditioning_gap(loss_of(Listens()), true, strangers, BINS)
    _, sigma = alpha_sigma()
    expected = float(np.mean(2 / sigma**2))
    assert 0 < low < expected < high
    assert mean == pytest.approx(expected, rel=0.05)


def test_the_gap_of_who_does_not_listen_is_nothing():
    true, strangers = [copies(0)], [copies(2)]
    assert conditioning_gap(loss_of(Ignores()), true, strangers, BINS) == (0, 0, 0)


def test_the_gap_is_of_the_examples_that_are_given_something():
    roles = ((Role.TARGET,) * 4, *TWO_GIVEN[1:])
    task = tiny.make_task(roles, 64)
    true, stranger = (dataclasses.replace(copies(seed), task=task) for seed in (0, 2))
    rest_true, rest_stranger = (
        jax.tree.map(lambda leaf: leaf[1:], batch) for batch in (true, stranger)
    )
    gap = functools.partial(conditioning_gap, loss_of(Ignores()), num_bins=BINS)
    listened = functools.partial(conditioning_gap, loss_of(Listens()), num_bins=BINS)
    assert gap([true], [stranger]) == (0, 0, 0)
    np.testing.assert_allclose(
        listened([rest_true], [rest_stranger]), listened([true], [stranger]), rtol=1e-5
    )


def test_intervals_hold_the_mean_as_often_as_they_say():
    values = np.random.default_rng(0).normal(0.7, 2.0, size=(2000, 50))
    holds = [low < 0.7 < high for _, low, high in map(mean_interval, values)]
    assert np.mean(holds) == pytest.approx(0.945, abs=0.015)  # 1.96 for Student's 2.01
