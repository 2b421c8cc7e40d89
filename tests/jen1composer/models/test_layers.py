"""Layers: against their formulas, and frames that do not see each other's statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.layers import Conv, Dense, RMSNorm, TrackDense
from tests import tiny

X = jax.random.normal(jax.random.key(0), (2, 9, 6))  # [batch, frame, channel]


def weights_of(layer: nn.Module):
    return tiny.randomised(nn.unbox(layer.init(jax.random.key(1), X)))


@pytest.mark.parametrize(('width', 'dilation'), [(1, 1), (3, 1), (3, 2), (5, 3)])
def test_conv_is_its_sum(width, dilation):
    layer = Conv(4, width=width, dilation=dilation)
    weights = weights_of(layer)
    kernel, bias = weights['params']['kernel'], weights['params']['bias']
    half = width // 2
    padded = np.pad(X, ((0, 0), (half * dilation,) * 2, (0, 0)))
    expected = sum(
        padded[:, k * dilation : k * dilation + X.shape[1]] @ kernel[k] for k in range(width)
    )
    np.testing.assert_allclose(layer.apply(weights, X), expected + bias, atol=1e-5)


@pytest.mark.parametrize(('width', 'dilation'), [(1, 1), (3, 1), (3, 2), (5, 3), (7, 2)])
def test_a_causal_conv_is_the_one_padded_on_the_left(width, dilation):
    layer = Conv(4, width=width, dilation=dilation)
    weights = weights_of(layer)

    def padded_by(before, after):
        y = jax.lax.conv_general_dilated(
            X,
            weights['params']['kernel'],
            window_strides=(1,),
            padding=[(before, after)],
            rhs_dilation=(dilation,),
            dimension_numbers=('NWC', 'WIO', 'NWC'),
        )
        return y + weights['params']['bias']

    half = dilation * (width // 2)
    causal, both = padded_by(2 * half, 0), padded_by(half, half)
    np.testing.assert_allclose(layer.apply(weights, X, causal=True), causal, atol=1e-6)
    np.testing.assert_allclose(layer.apply(weights, X), both, atol=1e-6)
    mixed = layer.apply(weights, X, causal=jnp.array([True, False]))
    np.testing.assert_allclose(mixed, jnp.stack([causal[0], both[1]]), atol=1e-6)


@pytest.mark.parametrize('width', [1, 3, 5])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_a_causal_conv_leaks_no_bit(width, dtype):
    layer = Conv(4, width=width, dilation=2, dtype=dtype)
    weights = weights_of(layer)
    apply = jax.jit(lambda x: layer.apply(weights, x, causal=jnp.array([True, False])))
    for n in range(X.shape[1]):
        causal, both = np.asarray(apply(X) != apply(X.at[:, n:].add(1e30))).any(axis=-1)
        assert not causal[:n].any()
        assert causal[n:].all()
        assert both[:n].any() == (width > 1 and n > 0)


def test_conv_of_even_width_is_refused():
    with pytest.raises(ValueError, match=r'Conv.width: 4; allowed are odd widths'):
        Conv(4, width=4).init(jax.random.key(0), X)


def test_dense_is_its_product():
    layer = Dense(4)
    weights = weights_of(layer)
    expected = X @ weights['params']['kernel'] + weights['params']['bias']
    np.testing.assert_allclose(layer.apply(weights, X), expected, atol=1e-5)


def test_norm_gives_each_frame_unit_power_whatever_the_others_hold():
    layer = RMSNorm()
    weights = nn.unbox(layer.init(jax.random.key(0), X))
    y = layer.apply(weights, X)
    np.testing.assert_allclose(jnp.mean(y**2, axis=-1), 1, atol=1e-4)
    np.testing.assert_allclose(layer.apply(weights, 50 * X), y, atol=1e-4)
    louder = layer.apply(weights, X.at[:, 5:].mul(100))
    np.testing.assert_array_equal(louder[:, :5], y[:, :5])


def test_a_group_is_normalised_alone():
    layer = RMSNorm(groups=3)
    weights = weights_of(layer)
    y = layer.apply(weights, X)
    alone = RMSNorm()
    for first in (0, 2, 4):
        part = slice(first, first + 2)
        scale = {'params': {'scale': weights['params']['scale'][part]}}
        np.testing.assert_allclose(y[..., part], alone.apply(scale, X[..., part]), atol=1e-6)
    louder = layer.apply(weights, X.at[..., 2:4].mul(100))
    np.testing.assert_array_equal(louder[..., :2], y[..., :2])
    np.testing.assert_array_equal(louder[..., 4:], y[..., 4:])
    assert np.abs(RMSNorm().apply(weights, X.at[..., 2:4].mul(100))[..., :2] - y[..., :2]).max() > 1


def test_each_track_has_its_own_matrix():
    tracks = jax.random.normal(jax.random.key(2), (2, 3, 5, 4))  # [batch, track, frame, channel]
    layer = TrackDense(6)
    fresh = nn.unbox(layer.init(jax.random.key(3), jnp.ones((1, 3, 5, 400))))
    assert 0.9 < fresh['params']['kernels'].std() * 20 < 1.1  # the spread of 400 inputs, not 1200
    weights = tiny.randomised(nn.unbox(layer.init(jax.random.key(3), tracks)))
    kernels, biases = weights['params']['kernels'], weights['params']['biases']
    expected = jnp.stack([tracks[:, k] @ kernels[k] + biases[k] for k in range(3)], axis=1)
    np.testing.assert_allclose(layer.apply(weights, tracks), expected, atol=1e-5)


@pytest.mark.parametrize('layer', [Dense(4), Conv(4), RMSNorm(), RMSNorm(groups=2)])
def test_weights_stay_float32_whatever_the_arithmetic(layer):
    half = layer.clone(dtype=jnp.bfloat16)
    weights = weights_of(half)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    assert half.apply(weights, X).dtype == jnp.bfloat16
    np.testing.assert_allclose(half.apply(weights, X), layer.apply(weights, X), atol=0.1)


@pytest.mark.parametrize(
    ('layer', 'names'),
    [
        (Dense(4), {'kernel': ('channel', None), 'bias': ('norm',)}),
        (Conv(4), {'kernel': (None, 'channel', None), 'bias': ('norm',)}),
        (RMSNorm(), {'scale': ('norm',)}),
    ],
)
def test_each_weight_names_its_axes(layer, names):
    boxed = layer.init(jax.random.key(0), X)['params']
    assert {name: box.names for name, box in boxed.items()} == names
