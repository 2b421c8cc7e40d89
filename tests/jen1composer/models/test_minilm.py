"""The laws of the text encoder's network, at a tiny random size, and transformers' BERT."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.models.minilm import MiniLM, params_from_bert
from tests.peers import live

TINY = MiniLM(vocabulary=50, positions=12, width=16, hidden=32, heads=4, layers=2)
TOKENS = np.array([[1, 7, 9, 2, 0, 0], [1, 3, 4, 5, 6, 2]], np.int32)
MASK = TOKENS > 0
RECORDING = live.HERE / 'minilm.npz'


@pytest.fixture(scope='module')
def params():
    return jax.jit(TINY.init)(jax.random.key(0), TOKENS, MASK)['params']


@jax.jit
def states(params, tokens, mask):
    return TINY.apply({'params': params}, tokens, mask)


def check_against_peer(path):
    with np.load(path) as file:
        peer = dict(file)
    weights = {key.removeprefix('weights/'): value for key, value in peer.items() if '/' in key}
    model = MiniLM(vocabulary=60, positions=24, width=24, hidden=40, heads=3, layers=3)
    variables = {'params': params_from_bert(weights, model.layers)}
    with jax.default_matmul_precision('highest'):
        ours = jax.jit(model.apply)(variables, peer['tokens'], peer['mask'])
    mask = peer['mask']
    assert not mask.all()
    np.testing.assert_allclose(ours[mask], peer['states'][mask], atol=1e-5)


def test_states_are_those_of_transformers():
    check_against_peer(RECORDING)


@pytest.mark.peer
def test_states_are_those_of_transformers_now(tmp_path):
    check_against_peer(live.record('record_minilm.py', tmp_path / 'minilm.npz'))


def test_padding_has_zero_states_and_the_rest_has_not(params):
    x = states(params, TOKENS, MASK)
    assert x.shape == (2, 6, 16)
    np.testing.assert_array_equal(jnp.any(x != 0, axis=-1), MASK)


def test_longer_padding_changes_nothing(params):
    longer = np.pad(TOKENS, ((0, 0), (0, 6)))
    x = states(params, longer, longer > 0)
    np.testing.assert_allclose(x[:, :6], states(params, TOKENS, MASK), atol=1e-6)


def test_the_token_under_padding_is_not_seen(params):
    other = np.where(MASK, TOKENS, 33)
    np.testing.assert_array_equal(states(params, other, MASK), states(params, TOKENS, MASK))


def test_a_nan_under_padding_does_not_spread(params):
    words = params['words']['embedding'].at[0].set(jnp.nan)  # 0 is the padding's token
    broken = {**params, 'words': {'embedding': words}}
    np.testing.assert_array_equal(states(broken, TOKENS, MASK), states(params, TOKENS, MASK))


def test_a_row_of_nothing_but_padding_is_finite(params):
    x = states(params, TOKENS, np.zeros_like(MASK))
    np.testing.assert_array_equal(x, 0)


def test_texts_do_not_see_each_other(params):
    other = TOKENS.copy()
    other[1, 1:5] = 8
    x, y = states(params, TOKENS, MASK), states(params, other, MASK)
    np.testing.assert_array_equal(x[0], y[0])
    assert jnp.abs(x[1] - y[1]).max() > 0.1


def test_order_is_heard(params):
    swapped = TOKENS[:, [0, 2, 1, 3, 4, 5]]
    x, y = states(params, TOKENS, MASK), states(params, swapped, MASK)
    assert jnp.abs(x[0, 3] - y[0, 3]).max() > 1e-3


def test_no_gradient_flows_into_padding(params):
    def loss(params):
        x = states(params, TOKENS, MASK)
        return jnp.sum(jnp.square(x) * jnp.cos(jnp.arange(16)))

    gradient = jax.jit(jax.grad(loss))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    rows = jnp.any(gradient['words']['embedding'] != 0, axis=-1)
    assert set(np.flatnonzero(rows)) == set(TOKENS[MASK])
