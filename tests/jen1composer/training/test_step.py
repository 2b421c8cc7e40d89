"""The step: its three equations, once compiled, its state given up to it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jen1composer.training.state import initial_state
from jen1composer.training.step import make_train_step
from tests.jen1composer.training import toy


def test_it_descends_the_gradient_and_counts():
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(toy.loss_fn, optimizer, 0.9))
    state, batch = initial_state(toy.init_params, optimizer), toy.batch_of(0)
    (loss, _), gradient = jax.value_and_grad(toy.loss_fn, has_aux=True)(state.params, batch, 0)
    new, metrics = step(state, batch)
    assert int(new.step) == 1
    np.testing.assert_allclose(metrics['loss'], loss, rtol=1e-6)
    norm = np.sqrt(sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(gradient)))
    np.testing.assert_allclose(metrics['gradient_norm'], norm, rtol=1e-6)
    assert metrics['largest'] > metrics['loss']
    for name, leaf in state.params.items():
        np.testing.assert_allclose(new.params[name], leaf - 0.5 * gradient[name], rtol=1e-5)


def test_the_average_follows_with_its_ramp_and_then_at_its_decay():
    optimizer = optax.sgd(0.01)
    step = jax.jit(make_train_step(toy.loss_fn, optimizer, 0.5))
    state = initial_state(toy.init_params, optimizer)
    average = np.asarray(state.ema['w'])
    for number in range(12):
        state, _ = step(state, toy.batch_of(number))
        decay = min(0.5, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * np.asarray(state.params['w'])
        np.testing.assert_allclose(state.ema['w'], average, rtol=1e-5)


def test_it_is_compiled_once_in_twenty_steps_and_takes_its_state_over():
    step = toy.make_step()
    state = toy.fresh_state()
    first = state
    for number in range(20):
        state, _ = step(state, toy.batch_of(number))
    assert step._cache_size() == 1
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first))


def test_each_part_of_a_batch_is_every_so_many_examples():
    """So that a batch split over devices is divided on each of them; the mean would not show it."""

    def loss_fn(params, batch, step):
        del step
        return jnp.square(params['w'] * jnp.mean(batch)), {'first': batch[0]}

    state = initial_state(lambda: {'w': jnp.ones(())}, optax.sgd(0.1))
    batch = jnp.asarray([0.0, 1.0, 3.0, 7.0, 20.0, 50.0])
    for accumulate in (1, 2, 3, 6):
        parts = [np.asarray(batch)[j::accumulate] for j in range(accumulate)]
        _, metrics = make_train_step(loss_fn, optax.sgd(0.1), 0.9, (), accumulate)(state, batch)
        expected = np.mean([np.mean(part) ** 2 for part in parts])
        np.testing.assert_allclose(metrics['loss'], expected, rtol=1e-6)
        np.testing.assert_allclose(metrics['gradient_norm'], 2 * expected, rtol=1e-6)
        first = np.mean([part[0] for part in parts])
        np.testing.assert_allclose(metrics['first'], first, rtol=1e-6)
