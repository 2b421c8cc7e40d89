"""Spikes: which steps are left out, that nothing stays of them, and that a resume is exact."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.errors import BadInput
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.spikes import count_skipped, skip_spikes
from jen1composer.training.state import initial_state
from jen1composer.training.step import make_train_step

FACTOR, DECAY, SETTLED = 3.0, 0.8, 4
PARAMS = {'w': jnp.ones((2, 3)), 'b': jnp.zeros(2)}


def gradient(norm: float) -> dict[str, jax.Array]:
    """Of this global norm."""
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape, norm / np.sqrt(8)), PARAMS)


def after(optimizer, norms, state=None, params=PARAMS):
    state = optimizer.init(params) if state is None else state
    update = jax.jit(optimizer.update)
    for norm in norms:
        updates, state = update(gradient(norm), state, params)
        params = optax.apply_updates(params, updates)
    return params, state


def rule(inner=None, **changes):
    inner = optax.adamw(0.1, weight_decay=0.1) if inner is None else inner
    return skip_spikes(inner, FACTOR, **{'decay': DECAY, 'settled': SETTLED} | changes)


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def skipped_by_hand(norms: list[float]) -> list[bool]:
    """Equations (1) and (2) with plain numbers."""
    average, counted, found = 0.0, 0, []
    for norm in norms:
        allowed = np.inf
        if counted >= SETTLED:
            allowed = FACTOR * average / (1 - DECAY**counted)
        found.append(not np.isfinite(norm) or norm > allowed)
        if np.isfinite(norm):
            average = DECAY * average + (1 - DECAY) * min(norm, allowed)
            counted += 1
    return found


def test_the_steps_that_are_skipped_are_those_of_the_equations():
    rng = np.random.default_rng(0)
    norms = np.exp(rng.normal(size=60)).tolist()
    norms[7], norms[20], norms[31:34] = 100.0, np.nan, [50.0, np.inf, 8.0]
    optimizer, found = rule(), []
    state = optimizer.init(PARAMS)
    for norm in norms:
        _, new = after(optimizer, [norm], state)
        found.append(bool(new.skipped - state.skipped))
        state = new
    assert found == skipped_by_hand(norms)
    assert 4 < sum(found) == count_skipped(state)['skipped'] < 20


@pytest.mark.parametrize('spike', [100.0, np.nan, np.inf])
def test_nothing_is_left_of_a_skipped_step(spike):
    """Neither weights nor moments, nor the count of steps by which the rate goes."""
    params, state = after(rule(), [1.0] * 6 + [spike])
    expected_params, expected = after(rule(), [1.0] * 6)
    assert_equal(params, expected_params)
    assert_equal(state.inner, expected.inner)
    assert state.skipped == expected.skipped + 1


def test_without_a_spike_it_is_the_optimiser_alone():
    alone = optax.adamw(0.1, weight_decay=0.1)
    norms = [1.0, 2.0, 1.5, 0.5, 1.0, 2.0]
    params, state = after(rule(alone), norms)
    expected_params, expected = after(alone, norms)
    assert_equal((params, state.inner), (expected_params, expected))


def test_before_it_has_settled_nothing_that_is_finite_is_skipped():
    _, state = after(rule(), [1.0] * (SETTLED - 1) + [1e6])
    assert state.skipped == 0


def test_a_gradient_that_has_grown_for_good_is_followed():
    _, state = after(rule(), [1.0] * 10 + [10.0] * 20)
    assert 0 < state.skipped < 10
    _, later = after(rule(), [10.0] * 5, state)
    assert later.skipped == state.skipped


def test_a_state_that_was_saved_goes_on_as_it_would_have():
    norms = [1.0, 2.0, 1.0, 2.0, 1.0, 90.0, 1.0, 80.0, 2.0, 4.5]
    params, state = after(rule(), norms[:6])
    saved = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), (params, state))
    resumed = after(rule(), norms[6:], saved[1], saved[0])
    assert_equal(resumed, after(rule(), norms))


CONFIG = OptimizerConfig(
    peak_learning_rate=0.1, total_steps=200, warmup_steps=0, floor=1.0, spike_factor=2.0
)


@pytest.mark.parametrize('name', ['adamw', 'muon'])
def test_a_step_says_in_its_metrics_whether_it_was_skipped(name):
    def loss(params, batch, step):
        return jnp.sum(batch * (params['w'] @ jnp.ones(3) + params['b'])), {}

    optimizer = make_optimizer(dataclasses.replace(CONFIG, name=name))
    state = initial_state(lambda: PARAMS, optimizer)
    step = jax.jit(make_train_step(loss, optimizer, 0.9))
    for _ in range(100):
        state, metrics = step(state, jnp.ones(2))
    assert metrics['skipped'] == 0
    new, metrics = step(state, 3 * jnp.ones(2))
    assert metrics['skipped'] == 1
    assert_equal(new.params, state.params)
    assert new.step == state.step + 1  # its examples are used up


def test_a_step_without_the_rule_says_nothing_of_it():
    optimizer = make_optimizer(dataclasses.replace(CONFIG, spike_factor=0.0))
    state = initial_state(lambda: PARAMS, optimizer)
    step = make_train_step(lambda params, batch, step: (jnp.sum(params['w']), {}), optimizer, 0.9)
    _, metrics = jax.eval_shape(step, state, None)
    assert set(metrics) == {'loss', 'gradient_norm'}


def test_skipped_steps_of_two_optimisers_are_counted_together():
    both = optax.partition({'w': rule(), 'b': rule()}, {'w': 'w', 'b': 'b'})
    _, state = after(both, [1.0] * 5 + [90.0])
    assert count_skipped(state)['skipped'] == 2


def test_a_factor_that_would_skip_what_is_usual_is_refused():
    with pytest.raises(BadInput, match=r'optimizer.spike_factor: 0.5; allowed is more than 1'):
        dataclasses.replace(CONFIG, spike_factor=0.5)
