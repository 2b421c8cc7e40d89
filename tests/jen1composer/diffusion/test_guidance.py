"""Guidance: nothing at scale 1, the stated formula elsewhere, every branch one the training saw."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Task, Text
from jen1composer.diffusion.guidance import Guidance, guided
from jen1composer.tracks import Role
from tests import tiny

BATCH = tiny.make_batch()
ROLES = np.array(tiny.ROLES)
TIMES = np.where(ROLES == Role.TARGET, 0.4, np.where(ROLES == Role.CONDITION, 0.0, 1.0))
X = jnp.asarray(BATCH.latents)
NOISE = jax.random.normal(jax.random.key(3), X.shape)


class Affine:
    """x W + what the times, roles and the text say, each with a weight; counts its rows."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(
        self, x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text
    ) -> jax.Array:
        del shown
        self.rows.append(len(x))
        mixed = jnp.einsum('bktc,kj->bjtc', x, jnp.arange(16.0).reshape(4, 4))
        told = 3 * t + jnp.asarray(task.roles) @ jnp.arange(1.0, 5.0)[:, None]
        words = jnp.where(jnp.asarray(text.use_prompt), text.prompt.sum((1, 2)), 0.5)
        return mixed + told[..., None, None] + words[:, None, None, None]


def call(predict) -> jax.Array:
    return predict(X, jnp.asarray(TIMES, jnp.float32), X, BATCH.task, BATCH.text)


def without(track: int) -> jax.Array:
    """The prediction where `track`, if given, had been asked for as marginal."""
    roles = ROLES.copy()
    drop = roles[:, track] == Role.CONDITION
    roles[drop, track] = Role.MARGINAL
    x = np.array(X)
    x[drop, track] = NOISE[drop, track]
    times = TIMES.copy()
    times[drop, track] = 1.0
    return Affine()(jnp.asarray(x), jnp.asarray(times), X, tiny.make_task(roles, 8), BATCH.text)


def without_text() -> jax.Array:
    text = dataclasses.replace(BATCH.text, use_prompt=np.zeros(len(X), bool))
    return Affine()(X, jnp.asarray(TIMES), X, BATCH.task, text)


@pytest.mark.parametrize('guidance', [Guidance(), Guidance(text=1.0, given=(1.0,) * 4)])
def test_scale_one_is_the_network_itself(guidance):
    predict = Affine()
    assert guided(predict, guidance, NOISE) is predict


@pytest.mark.parametrize(
    ('guidance', 'branches'),
    [
        (Guidance(text=3.0), 2),
        (Guidance(given=(1.0, 2.0, 1.0, 1.0)), 2),
        (Guidance(text=1.0, given=(2.0, 2.0, 1.0, 0.0)), 4),
        (Guidance(text=2.0, given=(2.0, 2.0, 2.0, 2.0)), 6),
    ],
)
def test_each_scale_but_one_adds_a_branch_to_one_call(guidance, branches):
    predict = Affine()
    call(guided(predict, guidance, NOISE))
    assert predict.rows == [branches * len(X)]


def test_text_guidance_is_classifier_free_guidance():
    found = call(guided(Affine(), Guidance(text=2.5), NOISE))
    null = without_text()
    np.testing.assert_allclose(found, null + 2.5 * (call(Affine()) - null), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('track', range(4))
def test_a_track_is_left_out_by_asking_for_it_as_marginal(track):
    scales = tuple(0.0 if k == track else 1.0 for k in range(4))  # scale 0: without it alone
    found = call(guided(Affine(), Guidance(given=scales), NOISE))
    np.testing.assert_allclose(found, without(track), rtol=1e-4, atol=1e-3)
    is_given = ROLES[:, track] == Role.CONDITION
    full = call(Affine())
    np.testing.assert_allclose(found[~is_given], full[~is_given], rtol=1e-5, atol=1e-4)
    assert (np.abs(found[is_given] - full[is_given]).max(axis=(1, 2, 3)) > 0.1).all()


def test_pulls_of_all_conditions_add():
    guidance = Guidance(text=1.7, given=(0.5, 1.0, 3.0, 1.2))
    full = call(Affine())
    expected = full + 0.7 * (full - without_text())
    for track, scale in enumerate(guidance.given):
        expected = expected + (scale - 1) * (full - without(track))
    np.testing.assert_allclose(
        call(guided(Affine(), guidance, NOISE)), expected, rtol=1e-4, atol=1e-3
    )
