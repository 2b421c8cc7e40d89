"""Muon: what optax makes of the same gradients; and that both ways of computing it agree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from optax import contrib

from jen1composer.training import muon as ours
from jen1composer.training.muon import (
    COEFFICIENTS,
    STEPS,
    directions,
    one_by_one,
    orthogonalized,
    together,
)


def singular_values(rows: int, columns: int, quietest: float) -> np.ndarray:
    """A matrix whose singular values fall from 1 to `quietest`."""
    rng = np.random.default_rng(0)
    u, _, vt = np.linalg.svd(rng.normal(size=(rows, columns)), full_matrices=False)
    return (u * np.geomspace(1, quietest, len(vt))) @ vt


def by_singular_values(x: np.ndarray) -> np.ndarray:
    """X_5 in double precision: (1) leaves the singular vectors as they are."""
    u, s, vt = np.linalg.svd(x / np.linalg.norm(x), full_matrices=False)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        s = s * (a + b * s**2 + c * s**4)
    return (u * s) @ vt


@pytest.mark.parametrize('quietest', [0.3, 1e-3, 1e-7])
@pytest.mark.parametrize('shape', [(8, 8), (8, 11), (8, 12), (8, 40), (40, 8), (1, 5), (5, 1)])
def test_both_ways_of_computing_it_are_the_same(shape, quietest):
    x = singular_values(*shape, quietest)
    found = orthogonalized(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, by_singular_values(x), atol=3e-4)


def test_nothing_stays_nothing():
    for shape in ((4, 4), (4, 9)):
        assert (orthogonalized(jnp.zeros(shape)) == 0).all()


def matrices(*shapes):
    rng = np.random.default_rng(2)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize('shape', [(8, 8), (8, 40), (40, 8)])
def test_a_stack_is_its_matrices(shape):
    some = matrices(shape, shape[::-1], shape)
    for found, alone in zip(together(some), one_by_one(some), strict=True):
        np.testing.assert_allclose(found, alone, atol=1e-5)


def test_each_gets_its_own_and_those_of_one_shape_share_products_where_that_is_quicker():
    some = matrices((8, 12), (5, 4), (8, 12), (12, 8), (8, 12))
    for found, alone in zip(directions(some), one_by_one(some), strict=True):
        np.testing.assert_array_equal(found, alone)

    def products(platform, *shapes):
        lowered = jax.jit(directions).trace(matrices(*shapes)).lower(lowering_platforms=(platform,))
        return lowered.as_text().count('stablehlo.dot_general')

    one = products('cpu', (8, 12))
    assert products('cpu', (8, 12), (8, 12), (8, 12)) == 3 * one
    assert products('cuda', (8, 12), (12, 8), (8, 12)) == one
    assert products('tpu', (8, 12), (12, 8), (8, 12)) == one
    assert products('tpu', (8, 12), (8, 16)) == 2 * one


def test_a_stack_of_what_is_placed_apart_is_the_same():
    """The partitioner has to bring matrices of one shape together that are split differently."""
    mesh = Mesh(np.reshape(jax.devices()[:4], (2, 2)), ('fsdp', 'tensor'))
    some = matrices((8, 16), (8, 16), (16, 8), (8, 16))
    axes = (P('fsdp', 'tensor'), P('tensor', 'fsdp'), P(None, 'tensor'), P())
    where = [NamedSharding(mesh, each) for each in axes]
    made = jax.jit(together, out_shardings=where)(jax.device_put(some, where))
    for found, alone in zip(made, one_by_one(some), strict=True):
        np.testing.assert_allclose(found, alone, atol=1e-5)


@pytest.mark.parametrize('way', [one_by_one, together])
def test_a_run_goes_on_from_a_state_of_optax(way, monkeypatch):
    """Its tree is the same, and so are the steps that are taken from it."""
    monkeypatch.setattr(ours, 'one_by_one', way)  # what this platform would do
    rng = np.random.default_rng(1)
    shapes = {'kernel': (6, 5), 'conv': (3, 4, 5), 'kernels': (3, 4, 8), 'bias': (5,)}
    params = {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in shapes.items()}
    number = {'kernel': 1, 'conv': 1, 'kernels': 3, 'bias': 0}
    numbers = contrib.MuonDimensionNumbers
    axes = {
        'kernel': numbers((0,), (1,)),
        'conv': numbers((0, 1), (2,)),
        'kernels': numbers((1,), (2,)),
        'bias': None,
    }
    rate = optax.linear_schedule(0.1, 0.0, 10)
    theirs = contrib.muon(
        rate,
        beta=0.95,
        weight_decay=0.1,
        adam_b1=0.9,
        adam_b2=0.95,
        muon_weight_dimension_numbers=lambda params: {name: axes[name] for name in params},
        consistent_rms=0.2,
    )

    def count(params):
        return jax.tree_util.tree_map_with_path(lambda path, leaf: number[path[-1].key], params)

    mine = ours.muon(rate, count=count, momentum=0.95, weight_decay=0.1, rms=0.2, b1=0.9, b2=0.95)
    state = theirs.init(params)
    assert jax.tree.structure(state) == jax.tree.structure(mine.init(params))
    for _ in range(3):
        grads = {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in shapes.items()}
        expected, after = theirs.update(grads, state, params)
        found, state = mine.update(grads, state, params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found, expected)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), state, after)
