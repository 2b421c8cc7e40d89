"""Guidance: nothing at scale 1, the stated formula elsewhere, every branch one the training saw."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.diffusion.batch import Task, Text, unknown_control
from jen1composer.diffusion.guidance import Branches, Guidance, Predictor, guided
from jen1composer.tracks import Role
from tests import tiny

BATCH = tiny.make_batch()
ROLES = np.array(tiny.ROLES)
TIMES = np.where(ROLES == Role.TARGET, 0.4, np.where(ROLES == Role.CONDITION, 0.0, 1.0))
X = jnp.asarray(BATCH.latents)
NOISE = jax.random.normal(jax.random.key(3), X.shape)
TARGETS = ROLES == Role.TARGET
NONE = (1.0,) * 4


def scales(**values) -> Guidance:
    return Guidance.constant(len(X), **{'given': NONE} | values)


def by(predict: Predictor, guidance: Guidance) -> Predictor:
    """`predict` guided with the branches that it needs."""
    return guided(predict, guidance, guidance.branches, NOISE)


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
        numbers = jnp.zeros(()) if text.control is None else jnp.asarray(text.control.bpm)
        return mixed + told[..., None, None] + (words + numbers)[:, None, None, None]


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


def test_scale_one_has_no_branch_and_is_the_network_itself():
    predict = Affine()
    assert scales().branches == Branches()
    assert by(predict, scales(low=0.3, rescale=0.7)) is predict


@pytest.mark.parametrize(
    ('guidance', 'branches'),
    [
        (scales(text=3.0), 2),
        (scales(given=(1.0, 2.0, 1.0, 1.0)), 2),
        (scales(given=(2.0, 2.0, 1.0, 0.0)), 4),
        (scales(text=2.0, given=(2.0, 2.0, 2.0, 2.0)), 6),
    ],
)
def test_each_scale_but_one_adds_a_branch_to_one_call(guidance, branches):
    predict = Affine()
    call(by(predict, guidance))
    assert predict.rows == [branches * len(X)]


def test_scale_one_in_a_branch_is_the_network_to_rounding():
    everything = Branches(text=True, given=(0, 1, 2, 3))
    found = call(guided(Affine(), scales(rescale=0.7), everything, NOISE))
    np.testing.assert_allclose(found, call(Affine()), rtol=1e-5, atol=1e-4)


def test_text_guidance_is_classifier_free_guidance():
    found = call(by(Affine(), scales(text=2.5)))
    null = without_text()
    np.testing.assert_allclose(found, null + 2.5 * (call(Affine()) - null), rtol=1e-4, atol=1e-3)


def test_control_is_left_out_as_unknown_and_all_else_is_kept():
    known = dataclasses.replace(unknown_control(len(X), X.shape[2]), bpm=np.arange(len(X)) + 1.0)
    text = dataclasses.replace(BATCH.text, control=known)
    guidance = scales(control=2.5)
    assert guidance.branches == Branches(control=True)

    def told(predict):
        return predict(X, jnp.asarray(TIMES, jnp.float32), X, BATCH.task, text)

    full, null = told(Affine()), call(Affine())  # of which the second knows of no tempo
    np.testing.assert_allclose(
        told(by(Affine(), guidance)), null + 2.5 * (full - null), rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize('track', range(4))
def test_a_track_is_left_out_by_asking_for_it_as_marginal(track):
    given = tuple(0.0 if k == track else 1.0 for k in range(4))  # scale 0: without it alone
    found = call(by(Affine(), scales(given=given)))
    np.testing.assert_allclose(found, without(track), rtol=1e-4, atol=1e-3)
    is_given = ROLES[:, track] == Role.CONDITION
    full = call(Affine())
    np.testing.assert_allclose(found[~is_given], full[~is_given], rtol=1e-5, atol=1e-4)
    assert (np.abs(found[is_given] - full[is_given]).max(axis=(1, 2, 3)) > 0.1).all()


def test_pulls_of_all_conditions_add():
    guidance = scales(text=1.7, given=(0.5, 1.0, 3.0, 1.2))
    full = call(Affine())
    expected = full + 0.7 * (full - without_text())
    for track, scale in enumerate((0.5, 1.0, 3.0, 1.2)):
        expected = expected + (scale - 1) * (full - without(track))
    np.testing.assert_allclose(call(by(Affine(), guidance)), expected, rtol=1e-4, atol=1e-3)


def test_every_row_has_its_own_numbers():
    rng = np.random.default_rng(0)
    rows = Guidance(
        control=np.ones(len(X), np.float32),
        text=rng.uniform(0, 3, len(X)),
        given=rng.uniform(0, 3, ROLES.shape),
        low=rng.uniform(0, 0.5, len(X)),
        high=rng.uniform(0.3, 1, len(X)),
        rescale=rng.uniform(0, 1, len(X)),
    )
    together = call(by(Affine(), rows))
    for row in range(len(X)):
        one = scales(
            text=rows.text[row],
            given=tuple(rows.given[row]),
            low=rows.low[row],
            high=rows.high[row],
            rescale=rows.rescale[row],
        )
        alone = call(guided(Affine(), one, rows.branches, NOISE))
        np.testing.assert_allclose(together[row], alone[row], rtol=1e-5, atol=1e-4)


def test_new_numbers_compile_nothing_and_another_set_of_branches_does():
    @jax.jit
    def run(guidance: Guidance) -> jax.Array:
        return call(guided(Affine(), guidance, Branches(text=True, given=(1,)), NOISE))

    results = [run(scales(text=text, rescale=text / 4)) for text in (1.0, 1.5, 2.0)]
    assert run._cache_size() == 1
    assert not np.array_equal(results[0], results[2])


@pytest.mark.parametrize(('low', 'high'), [(0.41, 1.0), (0.0, 0.39)])
def test_outside_its_interval_a_scale_is_one(low, high):
    numbers = {'text': 3.0, 'given': (2.0,) * 4, 'rescale': 0.5}
    outside = call(by(Affine(), scales(**numbers, low=low, high=high)))
    full = call(Affine())
    np.testing.assert_allclose(outside[TARGETS], full[TARGETS], rtol=1e-5, atol=1e-4)
    inside = call(by(Affine(), scales(**numbers, low=0.4, high=0.4)))
    np.testing.assert_array_equal(inside[TARGETS], call(by(Affine(), scales(**numbers)))[TARGETS])


def deviation(x: jax.Array, generated: np.ndarray) -> np.ndarray:
    """Of each row's track over its generated frames; `generated` is [batch, track, frame]."""
    x = np.asarray(x, np.float64)
    return np.array([[x[b, k][generated[b, k]].std() for k in range(4)] for b in range(len(x))])


@pytest.mark.parametrize('phi', [0.0, 0.7, 1.0])
def test_rescaling_brings_the_deviation_back_and_changes_nothing_else(phi):
    """Of the frames that are generated: what the network says where a target is shown is unused."""
    visible = np.zeros(X.shape[:3], bool)
    visible[:, :, :3] = TARGETS[..., None]
    task = dataclasses.replace(BATCH.task, visible=visible)

    def run(predict):
        return predict(X, jnp.asarray(TIMES, jnp.float32), X, task, BATCH.text)

    full = run(Affine())
    given = (1.0, 9.0, 9.0, 9.0)  # of tracks that stand, here, without another given one
    plain = run(by(Affine(), scales(text=1.2, given=given)))
    found = run(by(Affine(), scales(text=1.2, given=given, rescale=phi)))
    before, after = deviation(full, ~visible), deviation(plain, ~visible)
    gain = phi * before / after + 1 - phi  # [batch, track]
    np.testing.assert_allclose(found, gain[..., None, None] * np.asarray(plain), rtol=1e-4)
    assert (np.abs(before / after - 1)[TARGETS] > 0.01).any()


def test_in_a_causal_row_each_frame_is_rescaled_by_itself():
    task = dataclasses.replace(BATCH.task, causal=np.arange(len(X)) % 2 == 0)

    def run(predict):
        return np.asarray(predict(X, jnp.asarray(TIMES, jnp.float32), X, task, BATCH.text))

    full, plain = run(Affine()), run(by(Affine(), scales(text=1.7)))
    found = run(by(Affine(), scales(text=1.7, rescale=1.0)))
    each = full.std(axis=3, keepdims=True) / plain.std(axis=3, keepdims=True)
    whole = full.std(axis=(2, 3), keepdims=True) / plain.std(axis=(2, 3), keepdims=True)
    gain = np.where(task.causal[:, None, None, None], each, whole)
    np.testing.assert_allclose(found, gain * plain, rtol=1e-3, atol=1e-3)
