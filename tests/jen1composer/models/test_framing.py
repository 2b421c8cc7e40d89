"""Framing: the transform is an orthonormal basis, and overlap-add transposes the framing."""

import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models import framing

STRIDES = (1, 2, 5, 8, 480)


def signal(*shape: int) -> jnp.ndarray:
    return jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)


@pytest.mark.parametrize('stride', STRIDES)
def test_the_inverse_gives_the_signal_back_but_for_the_faded_ends(stride):
    x = signal(2, 6 * stride, 2)
    y = framing.inverse_mdct(framing.mdct(x, stride))
    assert y.shape == x.shape
    inner = slice(stride - stride // 2, 6 * stride - stride // 2)
    np.testing.assert_allclose(y[:, inner], x[:, inner], atol=2e-5)


@pytest.mark.parametrize('stride', STRIDES)
def test_the_basis_is_orthonormal_across_frames(stride):
    # Coefficient -> signal -> coefficient is the identity: neighbours do not overlap in meaning.
    coefficients = signal(1, 6, stride, 1).at[:, jnp.array([0, -1])].set(0)
    again = framing.mdct(framing.inverse_mdct(coefficients), stride)
    np.testing.assert_allclose(again[:, 1:-1], coefficients[:, 1:-1], atol=2e-5)
    power = jnp.sum(framing.inverse_mdct(coefficients) ** 2)
    np.testing.assert_allclose(power, jnp.sum(coefficients**2), rtol=1e-5)


@pytest.mark.parametrize('stride', STRIDES)
def test_overlap_add_is_the_transpose_of_framing(stride):
    x = signal(1, 4 * stride, 3)
    y = signal(1, 4, 2 * stride, 3)
    forwards = jnp.vdot(framing.frames(x, stride), y)
    np.testing.assert_allclose(forwards, jnp.vdot(x, framing.overlap_add(y)), rtol=1e-4, atol=1e-4)


def test_a_tone_lands_in_the_coefficients_of_its_frequency():
    stride, k = 64, 20
    time = np.arange(16 * stride)
    x = np.cos(np.pi / stride * (k + 0.5) * time)[None, :, None].astype(np.float32)
    power = np.square(framing.mdct(jnp.asarray(x), stride))[0, :, :, 0].sum(0)
    assert power[k - 1 : k + 2].sum() > 0.95 * power.sum()


def test_a_length_that_is_no_multiple_is_refused():
    with pytest.raises(ValueError, match='length 13; allowed are multiples of the stride 4'):
        framing.frames(signal(1, 13, 1), 4)
