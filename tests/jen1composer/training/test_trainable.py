"""Frozen parameters: they stay, nothing is kept for them, and the others train as they would."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.errors import BadInput
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.spikes import count_skipped
from jen1composer.training.state import initial_state, parameter_path
from jen1composer.training.step import make_train_step
from jen1composer.training.trainable import FROZEN, TRAINED, freeze_loss, freeze_optimizer, labels
from tests import tiny

CONFIG = OptimizerConfig(peak_learning_rate=1e-2, total_steps=10, warmup_steps=0, spike_factor=5.0)
PATTERN = 'transformer|^leave/'


def test_of_a_unet_moments_are_kept_for_what_is_named_alone():
    optimizer = freeze_optimizer(make_optimizer(CONFIG), PATTERN)
    state = jax.eval_shape(
        lambda: initial_state(lambda: tiny.drawn_params(tiny.UNET), optimizer),
    )
    names = {'/'.join(parameter_path(path)) for path, _ in leaves_of(state.params)}
    trains = {name for name in names if 'transformer' in name or name.startswith('leave/')}
    assert 0 < len(trains) < len(names)
    for moment in ('mu', 'nu'):
        [kept] = [tree for _, tree in optax.tree.get_all_with_path(state.opt_state, moment)]
        assert {'/'.join(parameter_path(path)) for path, _ in leaves_of(kept)} == trains
    assert count_skipped(state.opt_state)['skipped'].shape == ()


def leaves_of(tree):
    return jax.tree_util.tree_leaves_with_path(tree)


@pytest.mark.parametrize('name', ['adamw', 'muon'])
def test_the_frozen_stay_and_the_others_train_as_if_those_were_constants(name):
    params = {'a': jnp.arange(6.0).reshape(2, 3), 'b': {'kernel': jnp.ones((3, 2))}}

    def loss(params, batch, step):
        return jnp.sum(jnp.square(batch @ params['a'] @ params['b']['kernel'])), {}

    def alone(part, batch, step):
        return loss({'a': params['a'], 'b': part}, batch, step)

    optimizer = make_optimizer(dataclasses.replace(CONFIG, name=name))
    frozen = freeze_optimizer(optimizer, '^b/')
    whole = initial_state(lambda: params, frozen)
    part = initial_state(lambda: params['b'], optimizer)
    train_whole = jax.jit(make_train_step(freeze_loss(loss, '^b/'), frozen, 0.9))
    train_part = jax.jit(make_train_step(alone, optimizer, 0.9))
    for _ in range(3):
        whole, found = train_whole(whole, jnp.ones((1, 2)))
        part, expected = train_part(part, jnp.ones((1, 2)))
        # Its norm is of what trains alone.
        np.testing.assert_allclose(found['gradient_norm'], expected['gradient_norm'], rtol=1e-6)
    for left, right in ((whole.params, part.params), (whole.ema, part.ema)):
        np.testing.assert_allclose(left['b']['kernel'], right['kernel'], rtol=1e-5)
        np.testing.assert_array_equal(left['a'], params['a'])
    assert (part.params['kernel'] != params['b']['kernel']).any()


def test_a_name_is_the_same_in_its_box():
    boxed = jax.eval_shape(lambda: tiny.init_boxed(tiny.UNET))
    plain = jax.eval_shape(lambda: tiny.drawn_params(tiny.UNET))
    found = [jax.tree.leaves(labels(params, PATTERN)) for params in (boxed, plain)]
    assert found[0] == found[1]
    assert set(found[0]) == {TRAINED, FROZEN}


def test_without_a_pattern_nothing_is_changed():
    optimizer = optax.sgd(1.0)
    assert freeze_optimizer(optimizer, '') is optimizer
    assert freeze_loss(test_without_a_pattern_nothing_is_changed, '') is (
        test_without_a_pattern_nothing_is_changed
    )


@pytest.mark.parametrize(
    ('pattern', 'said'),
    [
        ('encoder', r"trainable: 'encoder' names no parameter; allowed is .* such as a/bias"),
        ('a(', r"trainable: 'a\(' \(missing \), .*\); allowed is a regular expression"),
    ],
)
def test_a_pattern_that_names_nothing_is_refused(pattern, said):
    optimizer = freeze_optimizer(optax.sgd(1.0), pattern)
    with pytest.raises(BadInput, match=said):
        jax.eval_shape(lambda: optimizer.init({'a': {'bias': jnp.ones(2)}}))
