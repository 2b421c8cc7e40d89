"""The adversary: each network gets its own gradient and no other, and not before its time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.errors import BadInput
from jen1composer.models.autoencoder import Autoencoder
from jen1composer.models.discriminator import judge
from jen1composer.training.adversary import (
    AUTOENCODER,
    DISCRIMINATOR,
    AdversaryConfig,
    adversarial_loss,
    matching,
    ramp,
    two_optimizers,
)
from jen1composer.training.autoencoder_losses import AutoencoderLossConfig
from jen1composer.training.autoencoder_step import AutoencoderTaskConfig, make_loss
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.state import initial_state
from jen1composer.training.step import make_train_step
from tests.jen1composer import tiny_adversary, tiny_codec
from tests.jen1composer.tiny_adversary import adversary
from tests.jen1composer.tiny_codec import SMALL, sound

LATE = 10**6
AUTOENCODER_MODEL = Autoencoder(SMALL)
BATCH = {
    'waveform': jnp.asarray(sound(2, 400, 2)),
    'index': jnp.arange(2, dtype=jnp.uint32),
}
TASK = AutoencoderTaskConfig(losses=AutoencoderLossConfig(sizes=(64,)))


def both() -> dict:
    return {AUTOENCODER: tiny_codec.params(SMALL), DISCRIMINATOR: tiny_adversary.params()}


@functools.cache
def gradient(**config):
    """`step -> (gradient for the autoencoder, for the discriminators, metrics)`."""
    loss = make_loss(AUTOENCODER_MODEL, TASK, 0, adversary(**config))
    both_at_once = jax.jit(jax.grad(loss, has_aux=True))

    def at(step: int) -> tuple[dict, dict, dict]:
        grads, metrics = both_at_once(both(), BATCH, jnp.asarray(step))
        return grads[AUTOENCODER], grads[DISCRIMINATOR], metrics

    return at


@functools.cache
def without_adversary() -> dict:
    loss = make_loss(AUTOENCODER_MODEL, TASK, 0)
    return jax.jit(jax.grad(loss, has_aux=True))(tiny_codec.params(SMALL), BATCH, 0)[0]


def assert_close(found, expected, share: float = 1e-6) -> None:
    """Within `share` of the largest entry of each leaf."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=share * np.abs(b).max() + 1e-12)


def differ(found, expected) -> bool:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(np.abs(a - b).max() > 1e-3 * np.abs(b).max() for a, b in pairs)


@functools.cache
def slopes() -> tuple[dict, dict]:
    """By the discriminators' weights and by the decoded sound: of each term, by name."""

    def terms(params, decoded):
        config = adversary(counts_from=0)
        _, terms = adversarial_loss(config, params, BATCH['waveform'], decoded, jnp.asarray(5))
        return {name: terms[name] for name in terms if name != 'adversary_ramp'}

    y = jnp.asarray(sound(2, 400, 2, seed=1))
    slopes = jax.jit(jax.jacrev(terms, argnums=(0, 1)))(tiny_adversary.params(), y)
    by_weights = {name: slope[0] for name, slope in slopes.items()}
    return by_weights, {name: slope[1] for name, slope in slopes.items()}


def largest(tree) -> list[float]:
    return [float(np.abs(leaf).max()) for leaf in jax.tree.leaves(tree)]


def test_what_a_discriminator_learns_from_moves_its_own_weights_and_nothing_else():
    by_weights, by_decoded = slopes()
    for name in tiny_adversary.params():
        term = f'discriminator_{name}'
        assert (by_decoded[term] == 0).all()
        for other, slope in by_weights[term].items():
            assert min(largest(slope)) > 1e-6 if other == name else max(largest(slope)) == 0


@pytest.mark.parametrize('term', ['adversarial', 'feature_matching'])
def test_what_the_autoencoder_learns_from_moves_the_sound_and_no_discriminator(term):
    by_weights, by_decoded = slopes()
    assert (by_decoded[term] != 0).mean() > 0.99
    assert max(largest(by_weights[term])) == 0


WITH = {
    'adversarial': 0.5,
    'feature_matching': 0.7,
    'learns_from': 3,
    'counts_from': 7,
    'ramp_steps': 4,
}
AT_LEARNS_FROM, AT_COUNTS_FROM, HALF, WHOLE = 3, 7, 9, 11


def test_once_it_counts_the_discriminators_learn_as_they_did():
    _, nothing, _ = gradient(**WITH)(AT_COUNTS_FROM)
    _, whole, metrics = gradient(**WITH)(LATE)
    assert metrics['adversary_ramp'] == 1
    assert min(largest(nothing)) > 1e-6
    assert_close(whole, nothing)


@pytest.mark.parametrize('step', [0, AT_LEARNS_FROM, AT_COUNTS_FROM])
def test_before_it_counts_the_gradient_is_that_without_an_adversary(step):
    """So what the discriminators learn from, which is there from step 3, does not reach it."""
    ours, theirs, metrics = gradient(**WITH)(step)
    assert metrics['adversary_ramp'] == 0
    assert_close(ours, without_adversary())
    learns = step >= AT_LEARNS_FROM
    assert min(largest(theirs)) > 1e-6 if learns else max(largest(theirs)) == 0
    terms = [value for name, value in metrics.items() if name.startswith('discriminator_')]
    assert len(terms) == len(tiny_adversary.params())
    assert all((term > 0) == learns for term in terms)


def test_it_counts_by_its_ramp_and_no_more_than_whole():
    start, half, whole, after = (
        gradient(**WITH)(s)[0] for s in (AT_COUNTS_FROM, HALF, WHOLE, LATE)
    )
    assert differ(half, start)
    assert_close(half, jax.tree.map(lambda a, b: (a + b) / 2, start, whole), 1e-5)
    assert_close(after, whole)


def test_the_terms_are_apart_and_the_loss_is_their_weighted_sum():
    y = jnp.asarray(sound(2, 400, 2, seed=1))
    config = adversary(adversarial=2.0, feature_matching=3.0)
    x = BATCH['waveform']
    loss, terms = jax.jit(functools.partial(adversarial_loss, config))(
        tiny_adversary.params(), x, y, 5
    )
    judges = [value for name, value in terms.items() if name.startswith(DISCRIMINATOR)]
    expected = 2 * terms['adversarial'] + 3 * terms['feature_matching'] + np.mean(judges)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_the_decoded_sound_is_judged_once_for_both():
    """Three calls in the code are two in the program: those of the decoded sound are one."""
    x, params = BATCH['waveform'], tiny_adversary.params()

    def flops(f, *sounds) -> float:
        return jax.jit(f).lower(params, *sounds).compile().cost_analysis()['flops']

    one = flops(functools.partial(judge, tiny_adversary.MODEL), x)
    terms = flops(lambda *a: adversarial_loss(adversary(), *a, jnp.asarray(5)), x, x + 0.1)
    assert 1.9 * one < terms < 2.2 * one


def test_an_undecided_judge_costs_what_least_squares_say():
    # All weights 0 and the last bias s: every score is s.
    params = jax.tree.map(jnp.zeros_like, tiny_adversary.params())
    for name in params:
        last = max(params[name], key=lambda layer: int(layer.rpartition('_')[2]))
        params[name][last]['bias'] += 0.25
    x = BATCH['waveform']
    _, terms = adversarial_loss(adversary(), params, x, x, jnp.asarray(5))
    np.testing.assert_allclose(terms['adversarial'], 0.75**2)
    np.testing.assert_allclose(terms['discriminator_period_2'], 0.75**2 + 0.25**2)


def test_a_perfect_copy_matches_and_matching_knows_no_scale():
    x, y = (tuple(jnp.asarray(sound(2, 5, 3, seed=s + i)) for i in range(2)) for s in (0, 7))
    assert matching(x, x) == 0
    quiet = jax.tree.map(lambda leaf: 0.01 * leaf, (x, y))
    np.testing.assert_allclose(matching(*quiet), matching(x, y), rtol=1e-2)


def test_each_network_is_clipped_by_its_own_norm():
    clip = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(1.0))
    optimizer = two_optimizers(clip, clip)
    params = both()
    ones = jax.tree.map(jnp.ones_like, params)
    huge = ones | {DISCRIMINATOR: jax.tree.map(lambda leaf: 1e6 * leaf, ones[DISCRIMINATOR])}
    for gradient in (ones, huge):
        updates, _ = optimizer.update(gradient, optimizer.init(params), params)
        for network in (AUTOENCODER, DISCRIMINATOR):
            np.testing.assert_allclose(optax.tree.norm(updates[network]), 1, rtol=1e-5)


@pytest.mark.parametrize('name', ['adamw', 'muon'])
def test_before_they_learn_no_bit_of_the_discriminators_changes_and_then_they_begin(name):
    """Their weight decay, moments and learning rate are those of an optimiser that starts then."""
    config = OptimizerConfig(
        name=name, peak_learning_rate=0.5, total_steps=20, warmup_steps=2, weight_decay=0.3
    )
    theirs = make_optimizer(config)
    optimizer = two_optimizers(make_optimizer(config), theirs, learns_from=3)
    loss = make_loss(AUTOENCODER_MODEL, TASK, 0, adversary(learns_from=3, counts_from=3))
    step = jax.jit(make_train_step(loss, optimizer, 0.9))
    first = state = initial_state(both, optimizer)

    def remembered(state):
        return state.opt_state.inner_states[DISCRIMINATOR].inner_state.inner_state

    for _ in range(3):
        state, _ = step(state, BATCH)
        for of in (
            lambda state: state.params[DISCRIMINATOR],
            lambda state: state.ema[DISCRIMINATOR],
            remembered,
        ):
            jax.tree.map(np.testing.assert_array_equal, of(state), of(first))
    assert differ(state.params[AUTOENCODER], first.params[AUTOENCODER])

    fresh_params = first.params[DISCRIMINATOR]
    fresh = jax.jit(theirs.init)(fresh_params)
    for _ in range(2):  # the rate of the first is 0
        grads = jax.jit(jax.grad(loss, has_aux=True))(state.params, BATCH, state.step)[0]
        updates, fresh = jax.jit(theirs.update)(grads[DISCRIMINATOR], fresh, fresh_params)
        fresh_params = optax.apply_updates(fresh_params, updates)
        state, _ = step(state, BATCH)
        assert_close(state.params[DISCRIMINATOR], fresh_params, 1e-3)
    assert differ(state.params[DISCRIMINATOR], first.params[DISCRIMINATOR])


def test_the_discriminators_learn_to_tell_and_the_autoencoder_to_be_taken_for_the_original():
    """The real step: while they do not count they win, and once they count it gains on them."""
    config = {'adversarial': 3.0, 'feature_matching': 0.0, 'counts_from': LATE}
    loss = make_loss(AUTOENCODER_MODEL, TASK, 0, adversary(**config))
    optimizer = two_optimizers(optax.adam(1e-2), optax.adam(1e-2))
    step = jax.jit(make_train_step(loss, optimizer, 0.9, (AUTOENCODER, DISCRIMINATOR)))

    def trained(first_step: int) -> dict:
        state = initial_state(both, optimizer)
        state = dataclasses.replace(state, step=jnp.asarray(first_step))
        for _ in range(100):
            state, metrics = step(state, BATCH)
        return metrics

    alone, against = trained(0), trained(2 * LATE)
    tell = [value for name, value in alone.items() if name.startswith('discriminator_')]
    assert max(tell) < 0.3  # of 0.5 for who cannot tell
    assert against['adversarial'] < 0.8 * alone['adversarial']
    norms = [float(alone[f'gradient_norm_{network}']) for network in (AUTOENCODER, DISCRIMINATOR)]
    np.testing.assert_allclose(np.hypot(*norms), alone['gradient_norm'], rtol=1e-5)


def test_the_ramp_is_a_straight_line_between_its_ends():
    config = AdversaryConfig(counts_from=10, ramp_steps=4)
    np.testing.assert_allclose(
        [ramp(config, jnp.asarray(s)) for s in (0, 10, 11, 14, 99)], [0, 0, 0.25, 1, 1]
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'adversarial': -1.0}, 'losses.adversarial: -1.0; allowed is 0 or more'),
        ({'feature_matching': float('nan')}, 'losses.feature_matching: nan; allowed'),
        ({'learns_from': -1}, 'losses.learns_from: -1; allowed is 0 or more'),
        ({'learns_from': 5, 'counts_from': 4}, 'losses.counts_from: 4; allowed is learns_from'),
        ({'ramp_steps': 0}, 'losses.ramp_steps: 0; allowed is 1 or more'),
    ],
)
def test_values_that_make_no_sense_are_refused(change, message):
    with pytest.raises(BadInput, match=message):
        AdversaryConfig(**change)
