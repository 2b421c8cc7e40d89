"""The optimiser: the learning rate of its formula, a bounded gradient, and what decays."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.errors import BadInput
from jen1composer.models.layers import TrackDense
from jen1composer.training.optimizer import OptimizerConfig, learning_rate, make_optimizer
from tests import tiny

CONFIG = OptimizerConfig(peak_learning_rate=2.0, total_steps=110, warmup_steps=10, floor=0.1)


@pytest.mark.parametrize(
    ('step', 'rate'), [(0, 0.0), (5, 1.0), (10, 2.0), (60, 1.1), (110, 0.2), (500, 0.2)]
)
def test_the_rate_rises_and_falls_in_straight_lines(step, rate):
    np.testing.assert_allclose(learning_rate(CONFIG)(step), rate, rtol=1e-5)


@pytest.mark.parametrize(('warmup', 'total'), [(0, 10), (10, 10)])
def test_no_warmup_and_no_fall_are_lines_too(warmup, total):
    config = OptimizerConfig(peak_learning_rate=1.0, total_steps=total, warmup_steps=warmup)
    rates = np.array([learning_rate(config)(step) for step in range(total + 1)])
    assert np.isfinite(rates).all()
    assert rates.max() == 1


def updates_of(config: OptimizerConfig, gradient: dict, params: dict) -> dict:
    optimizer = make_optimizer(config)
    state = optimizer.init(params)
    _, state = optimizer.update(gradient, state, params)  # the first step has rate 0
    updates, _ = optimizer.update(gradient, state, params)
    return updates


def test_weights_decay_and_scales_and_biases_do_not():
    params = {'kernel': jnp.full((2, 3), 4.0), 'conv': jnp.ones((3, 2, 2)), 'bias': jnp.ones(3)}
    nothing = {name: jnp.zeros_like(leaf) for name, leaf in params.items()}
    config = OptimizerConfig(
        peak_learning_rate=1.0, total_steps=10, warmup_steps=1, weight_decay=0.25
    )
    updates = updates_of(config, nothing, params)
    np.testing.assert_allclose(updates['kernel'], -0.25 * params['kernel'])
    np.testing.assert_allclose(updates['conv'], -0.25)
    assert (updates['bias'] == 0).all()


@pytest.mark.parametrize('name', ['adamw', 'muon'])
def test_a_bias_for_each_track_is_no_weight_and_its_kernels_are(name):
    layer, x = TrackDense(3), jnp.zeros((1, 4, 5, 2))
    params = jax.tree.map(
        lambda leaf: leaf + 1, nn.unbox(layer.init(jax.random.key(0), x)['params'])
    )
    nothing = jax.tree.map(jnp.zeros_like, params)
    config = OptimizerConfig(
        name=name, peak_learning_rate=1.0, total_steps=10, warmup_steps=1, weight_decay=0.25
    )
    updates = updates_of(config, nothing, params)
    assert (updates['biases'] == 0).all()
    np.testing.assert_allclose(updates['kernels'], -0.25 * params['kernels'], rtol=1e-6)


@pytest.mark.parametrize('groups', [1, 4])
def test_of_a_unet_all_but_biases_and_scales_are_weights(groups):
    """Also where they lie in the boxes of a fresh state, which carry their axes."""
    config = dataclasses.replace(tiny.UNET, norm_groups=groups)
    boxed = jax.eval_shape(lambda: tiny.init_boxed(config, 48))
    optimizer = make_optimizer(dataclasses.replace(CONFIG, name='muon'))
    state = nn.unbox(jax.eval_shape(optimizer.init, boxed))
    again = jax.eval_shape(optimizer.init, nn.unbox(boxed))
    assert jax.tree.structure(state) == jax.tree.structure(again)
    moments = state[1].inner_states['muon'].inner_state[0].mu
    taken = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(moments)}
    left = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(nn.unbox(boxed))}
    weights = {'kernel', 'null', 'role_tokens'}
    assert taken == weights | ({'kernels'} if groups > 1 else set())
    assert left - taken == {'bias', 'scale'} | ({'biases'} if groups > 1 else set())


def test_a_large_gradient_is_cut_to_the_norm_and_a_small_one_is_not():
    params = {'kernel': jnp.zeros((2, 2)), 'bias': jnp.zeros(2)}
    gradient = {'kernel': jnp.array([[3.0, 0.0], [0.0, 0.0]]), 'bias': jnp.array([0.0, 4.0])}
    optimizer = make_optimizer(CONFIG)

    def first_moment(scale: float) -> dict:
        scaled = {name: scale * leaf for name, leaf in gradient.items()}
        _, state = optimizer.update(scaled, optimizer.init(params), params)
        return optax.tree.get(state, 'mu')

    np.testing.assert_allclose(first_moment(1.0)['kernel'][0, 0], 0.1 * 3 / 5, rtol=1e-5)
    np.testing.assert_allclose(first_moment(1e6)['bias'][1], 0.1 * 4 / 5, rtol=1e-5)
    np.testing.assert_allclose(first_moment(0.1)['bias'][1], 0.1 * 0.4, rtol=1e-5)


@pytest.mark.parametrize('shape', [(6, 4), (4, 6), (3, 4, 5)])
def test_muon_moves_all_directions_of_a_matrix_alike(shape):
    """However unlike the singular values of the gradient are, those of the update are near one."""
    rng = np.random.default_rng(0)
    rows, columns = np.prod(shape[:-1]), shape[-1]
    u, _, vt = np.linalg.svd(rng.normal(size=(rows, columns)), full_matrices=False)
    gradient = (u * np.geomspace(1, 0.03, len(vt))) @ vt
    params = {'kernel': jnp.zeros(shape), 'bias': jnp.zeros(3)}
    config = dataclasses.replace(CONFIG, name='muon', weight_decay=0.0, warmup_steps=0)
    optimizer = make_optimizer(config)
    grads = {'kernel': jnp.asarray(gradient.reshape(shape), jnp.float32), 'bias': jnp.ones(3)}
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    rate, size = learning_rate(config)(0), 0.2 * np.sqrt(max(rows, columns))
    found = np.linalg.svd(updates['kernel'].reshape(rows, columns), compute_uv=False)
    np.testing.assert_allclose(found / (rate * size), 1, atol=0.35)
    adam = optax.adamw(rate, b1=config.b1, b2=config.b2, nesterov=True)
    clipped = {'bias': jnp.ones(3) / jnp.maximum(1, optax.tree.norm(grads))}
    expected, _ = adam.update(clipped, adam.init(clipped), clipped)
    np.testing.assert_allclose(updates['bias'], expected['bias'], rtol=1e-3)


@pytest.mark.parametrize(('name', 'matrices'), [('kernels', 3), ('kernel', 1)])
def test_muon_reads_a_stack_of_kernels_as_that_many_matrices(name, matrices):
    """A stack moves as its matrices would alone; a convolution has as many axes and is one."""
    rng = np.random.default_rng(1)
    loudness = jnp.array([1.0, 0.1, 0.01])[:, None, None]
    gradient = loudness * jnp.asarray(rng.normal(size=(3, 4, 5)), jnp.float32)
    config = dataclasses.replace(
        CONFIG, name='muon', weight_decay=0.0, warmup_steps=0, clip_norm=1e9
    )

    def update(gradient: jax.Array, name: str) -> jax.Array:
        params = {name: jnp.zeros_like(gradient)}
        optimizer = make_optimizer(config)
        return optimizer.update({name: gradient}, optimizer.init(params), params)[0][name]

    whole = update(gradient, name)
    alone = [update(part, 'kernel') for part in gradient.reshape(matrices, -1, 5)]
    np.testing.assert_allclose(whole.reshape(matrices, -1, 5), alone, rtol=1e-4, atol=1e-5)


def test_an_optimizer_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r"optimizer.name: 'lion'; allowed are adamw, muon"):
        dataclasses.replace(CONFIG, name='lion')
