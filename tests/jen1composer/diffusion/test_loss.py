"""The loss: what is generated counts, and nothing else does."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jen1composer.diffusion.loss import example_loss, squared_error
from jen1composer.tracks import Role
from tests import tiny

ROLES = np.array(tiny.ROLES)
FRAMES, CHANNELS = 6, 2
TASK = tiny.make_task(ROLES, FRAMES)


def output_and_target() -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    output, target = rng.normal(size=(2, *ROLES.shape, FRAMES, CHANNELS)).astype(np.float32)
    return jnp.asarray(output), jnp.asarray(target)


def total(output: jax.Array, target: jax.Array, task=TASK) -> jax.Array:
    return jnp.mean(example_loss(squared_error(output, target, task), task))


def some_visible() -> tiny.Task:
    visible = np.zeros((*ROLES.shape, FRAMES), bool)
    visible[:, 0, :2] = visible[:, 3, 3:] = visible[0, 1] = True
    return dataclasses.replace(TASK, visible=visible)


def test_it_is_the_mean_over_targets_of_their_mean_squares():
    output, target = output_and_target()
    squares = np.mean((output - target) ** 2, axis=(2, 3))
    expected = [row[roles == Role.TARGET].mean() for row, roles in zip(squares, ROLES, strict=True)]
    found = example_loss(squared_error(output, target, TASK), TASK)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_only_targets_have_a_gradient():
    output, target = output_and_target()
    gradient = np.asarray(jax.grad(total)(output, target))
    is_target = ROLES == Role.TARGET
    assert (gradient[~is_target] == 0).all()
    assert (gradient[is_target] != 0).all()


def test_visible_frames_have_no_gradient_and_the_others_make_the_mean():
    output, target = output_and_target()
    task = some_visible()
    gradient = np.asarray(jax.grad(total)(output, target, task))
    counted = (ROLES == Role.TARGET)[..., None] & ~task.visible
    assert (gradient[~counted] == 0).all()
    assert (gradient[counted] != 0).all()
    error = squared_error(output, target, task)
    np.testing.assert_allclose(
        error[1, 3], np.mean((output[1, 3, :3] - target[1, 3, :3]) ** 2), rtol=1e-5
    )
    assert error[0, 1] == 0  # every frame visible: nothing to generate, and no 0 / 0


def test_nan_on_what_is_not_generated_reaches_neither_loss_nor_gradient():
    output, target = output_and_target()
    task = some_visible()
    counted = ((ROLES == Role.TARGET)[..., None] & ~task.visible)[..., None]
    value, gradient = jax.value_and_grad(total)(output, jnp.where(counted, target, np.nan), task)
    clean_value, clean_gradient = jax.value_and_grad(total)(output, target, task)
    assert value == clean_value
    np.testing.assert_array_equal(gradient, clean_gradient)


@st.composite
def tasks(draw) -> tiny.Task:
    """Any roles with any frames visible, those of tracks that are no target as well."""
    roles = draw(arrays(np.int32, ROLES.shape, elements=st.sampled_from([int(r) for r in Role])))
    visible = draw(arrays(bool, (*ROLES.shape, FRAMES)))
    return dataclasses.replace(tiny.make_task(roles, FRAMES), visible=visible)


@given(tasks())
def test_a_targets_error_is_the_plain_mean_over_its_hidden_frames(task):
    output, target = output_and_target()
    squares = (np.asarray(output, np.float64) - np.asarray(target, np.float64)) ** 2
    errors = squared_error(output, target, task)
    losses = example_loss(errors, task)
    for row, roles in enumerate(task.roles):
        of_targets = []
        for k in np.flatnonzero(roles == Role.TARGET):
            hidden = squares[row, k, ~task.visible[row, k]]
            of_targets.append(hidden.mean() if len(hidden) else 0.0)
            np.testing.assert_allclose(errors[row, k], of_targets[-1], rtol=1e-5)
        expected = np.mean(of_targets) if of_targets else 0.0
        np.testing.assert_allclose(losses[row], expected, rtol=1e-5)


@given(tasks(), st.sampled_from([0.0, 1e30, np.inf, np.nan]), st.booleans())
def test_whatever_stands_where_nothing_is_generated_changes_no_bit(task, junk, also_target):
    """Of the loss and its gradient: in the output alone, or in what it is compared with as well."""
    output, target = output_and_target()
    counted = ((task.roles == Role.TARGET)[..., None] & ~task.visible)[..., None]
    value_and_gradient = jax.value_and_grad(total)
    dirty = jnp.where(counted, target, junk) if also_target else target
    value, gradient = value_and_gradient(jnp.where(counted, output, junk), dirty, task)
    clean_value, clean_gradient = value_and_gradient(output, target, task)
    assert value == clean_value
    np.testing.assert_array_equal(gradient, clean_gradient)
    np.testing.assert_array_equal(np.asarray(gradient) != 0, np.broadcast_to(counted, output.shape))
