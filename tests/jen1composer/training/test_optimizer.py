"""The optimiser: the learning rate of its formula, a bounded gradient, and what decays."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.training.optimizer import OptimizerConfig, learning_rate, make_optimizer

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
