"""Layers: against their formulas, and frames that do not see each other's statistics."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.layers import Conv, Dense, RMSNorm
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


@pytest.mark.parametrize('layer', [Dense(4), Conv(4), RMSNorm()])
def test_weights_stay_float32_whatever_the_arithmetic(layer):
    half = layer.clone(dtype=jnp.bfloat16)
    weights = weights_of(half)
    assert {leaf.dtype for leaf in jax.tree.leaves(weights)} == {jnp.dtype('float32')}
    assert half.apply(weights, X).dtype == jnp.bfloat16
    np.testing.assert_allclose(half.apply(weights, X), layer.apply(weights, X), atol=0.1)


@pytest.mark.parametrize(
    ('layer', 'names'),
    [
        (Dense(4), {'kernel': ('conv_in', 'conv_out'), 'bias': ('norm',)}),
        (Conv(4), {'kernel': (None, 'conv_in', 'conv_out'), 'bias': ('norm',)}),
        (RMSNorm(), {'scale': ('norm',)}),
    ],
)
def test_each_weight_names_its_axes(layer, names):
    boxed = layer.init(jax.random.key(0), X)['params']
    assert {name: box.names for name, box in boxed.items()} == names
