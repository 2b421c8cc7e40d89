"""Attention: distances and not positions, and padding that takes and tells nothing."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.attention import Attention, FeedForward, rotate
from tests import tiny

X = jax.random.normal(jax.random.key(0), (2, 6, 16))  # [batch, frame, channel]
CONTEXT = jax.random.normal(jax.random.key(1), (2, 5, 12))  # [batch, token, width]
MASK = jnp.array([[True, True, True, False, False], [True, False, True, True, False]])


@functools.cache
def weights(cross: bool):
    inputs = (X, CONTEXT, MASK) if cross else (X,)
    return tiny.randomised(nn.unbox(jax.jit(Attention(8).init)(jax.random.key(2), *inputs)))


def attend(context=CONTEXT, mask=MASK, x=X):
    return jax.jit(Attention(8).apply)(weights(True), x, context, mask)


def test_padding_is_the_same_as_absence():
    for row in range(2):
        kept = CONTEXT[row : row + 1, MASK[row]]
        alone = attend(kept, jnp.ones(kept.shape[:2], bool), X[row : row + 1])
        np.testing.assert_allclose(alone[0], attend()[row], atol=1e-5)


@pytest.mark.parametrize('content', [9.0, np.nan, np.inf])
def test_padded_states_change_no_bit(content):
    spoiled = jnp.where(MASK[..., None], CONTEXT, content)
    np.testing.assert_array_equal(attend(spoiled), attend())


def test_a_context_of_padding_alone_is_finite_and_tells_nothing():
    nothing = jnp.zeros_like(MASK)
    found = attend(mask=nothing)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, attend(-CONTEXT, nothing))


def test_the_order_of_a_context_does_not_matter_but_its_content_does():
    order = jnp.array([2, 0, 1, 4, 3])
    np.testing.assert_allclose(attend(CONTEXT[:, order], MASK[:, order]), attend(), atol=1e-5)
    assert np.abs(attend(-CONTEXT) - attend()).max() > 0.1


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    q, k = jax.random.normal(jax.random.key(3), (2, 1, 1, 2, 8))  # [batch, frame, head, width]
    rotated_q, rotated_k = (rotate(jnp.tile(z, (1, 20, 1, 1))) for z in (q, k))
    np.testing.assert_allclose(
        jnp.linalg.norm(rotated_q, axis=-1)[0],
        jnp.tile(jnp.linalg.norm(q[0], axis=-1), (20, 1)),
        rtol=1e-5,
    )
    logits = jnp.einsum('BTHD,BSHD->HTS', rotated_q, rotated_k)
    for shift in (1, 7):
        np.testing.assert_allclose(
            logits[:, shift:, shift:], logits[:, :-shift, :-shift], atol=1e-4
        )
    assert np.abs(logits[:, 0, 1] - logits[:, 0, 5]).min() > 1e-3


def test_self_attention_sees_the_order_of_frames():
    apply = jax.jit(Attention(8).apply)
    order = jnp.array([1, 0, 2, 3, 4, 5])
    swapped = apply(weights(False), X[:, order])[:, order]
    assert np.abs(swapped - apply(weights(False), X)).max() > 1e-3


@pytest.mark.parametrize('length', [1, 4, 6])
def test_a_causal_frame_attends_to_what_has_come_as_if_there_were_no_more(length):
    apply = jax.jit(Attention(8).apply)
    mixed = apply(weights(False), X, causal=jnp.array([True, False]))
    static = jax.jit(functools.partial(Attention(8).apply, causal=True))(weights(False), X)
    alone = apply(weights(False), X[:, :length])[:, -1]  # no mask at all
    np.testing.assert_allclose(mixed[0, length - 1], alone[0], atol=1e-5)
    np.testing.assert_allclose(static[:, length - 1], alone, atol=1e-5)
    both = apply(weights(False), X)
    np.testing.assert_allclose(mixed[1], both[1], atol=1e-5)
    assert (np.abs(mixed[0] - both[0]).max(axis=-1) > 1e-3)[:-1].all()


def test_the_mode_is_not_about_a_context():
    causal = jax.jit(functools.partial(Attention(8).apply, causal=True))
    np.testing.assert_array_equal(causal(weights(True), X, CONTEXT, MASK), attend())


def test_a_head_that_does_not_divide_the_channels_is_refused():
    with pytest.raises(ValueError, match='head_width: 7; allowed are divisors of 16'):
        Attention(7).init(jax.random.key(0), X)


def test_feed_forward_works_on_each_frame_alone():
    layer = FeedForward(2)
    variables = nn.unbox(jax.jit(layer.init)(jax.random.key(0), X))
    whole = layer.apply(variables, X)
    np.testing.assert_allclose(layer.apply(variables, X[:, 2:4]), whole[:, 2:4], atol=1e-5)
    assert variables['params']['in']['kernel'].shape == (16, 32)
