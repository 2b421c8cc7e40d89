"""Muon: what optax makes of the same gradients; and that both ways of computing it agree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from jen1composer.training import muon as ours
from jen1composer.training.muon import COEFFICIENTS, STEPS, orthogonalized


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


def test_a_run_goes_on_from_a_state_of_optax():
    """Its tree is the same, and so are the steps that are taken from it."""
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
