"""Randomness: a function of (seed, example index, track) and of nothing else."""

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jen1composer.diffusion.randomness import (
    Draw,
    chance,
    example_keys,
    step_noise,
    track_noise,
    uniform_time,
)

INDEX = jnp.array([0, 7, 3, 2**32 - 1], jnp.uint32)
SHAPE = (4, 6, 2)  # [track, frame, channel]

draw_noise = jax.jit(track_noise, static_argnums=(0, 2))


@hypothesis.given(st.permutations(range(4)), st.integers(1, 4))
def test_noise_does_not_depend_on_the_batch(order, size):
    alone = np.asarray(draw_noise(5, INDEX, SHAPE))
    rows = np.array(order[:size])
    np.testing.assert_array_equal(draw_noise(5, INDEX[rows], SHAPE), alone[rows])


@pytest.mark.parametrize('tracks', [1, 2, 3])
def test_noise_does_not_depend_on_the_number_of_tracks(tracks):
    fewer = draw_noise(5, INDEX, (tracks, *SHAPE[1:]))
    np.testing.assert_array_equal(fewer, draw_noise(5, INDEX, SHAPE)[:, :tracks])


def test_noise_does_not_depend_on_the_devices():
    mesh = jax.make_mesh((4,), ('data',), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
    split = draw_noise(5, jax.device_put(INDEX, sharding), SHAPE)
    np.testing.assert_array_equal(split, draw_noise(5, INDEX, SHAPE))


def test_examples_tracks_and_seeds_are_independent_and_standard_normal():
    index = jnp.arange(64, dtype=jnp.uint32)
    noise = np.asarray(draw_noise(0, index, (4, 32, 8)))
    other = np.asarray(draw_noise(1, index, (4, 32, 8)))
    columns = np.stack(
        [*noise.reshape(64, 4, -1).swapaxes(0, 1).reshape(4, -1), other.ravel()[:16384]]
    )
    columns = np.concatenate([columns, np.roll(columns[:1], 256, axis=1)])  # example i beside i - 1
    np.testing.assert_allclose(np.cov(columns), np.eye(6), atol=0.05)  # 6 standard errors
    np.testing.assert_allclose(columns.mean(axis=1), 0, atol=0.05)
    np.testing.assert_allclose((columns**4).mean(axis=1), 3, atol=0.5)  # Gaussian, not uniform


def test_times_fill_the_interval_that_ends_in_one():
    index = jnp.arange(4096, dtype=jnp.uint32)
    t = np.asarray(uniform_time(0, index))
    assert t.min() > 0
    assert t.max() <= 1
    quantiles = np.quantile(t, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles, [0.1, 0.5, 0.9], atol=0.04)
    np.testing.assert_array_equal(uniform_time(0, index[100:200]), t[100:200])


def test_chance_keeps_its_odds():
    index = jnp.arange(4096, dtype=jnp.uint32)
    assert not chance(0, index, Draw.TEXT, 0.0).any()
    assert chance(0, index, Draw.TEXT, 1.0).all()
    np.testing.assert_allclose(chance(0, index, Draw.TEXT, 0.2).mean(), 0.2, atol=0.03)


def test_noise_of_a_step_is_a_function_of_the_rows_seed_and_step():
    seeds = jnp.array([5, 5, 6, 6], jnp.uint32)
    steps = jnp.array([0, 1, 0, 1], jnp.uint32)
    noise = np.asarray(step_noise(seeds, steps, SHAPE))
    order = np.array([3, 0, 2])
    np.testing.assert_array_equal(step_noise(seeds[order], steps[order], SHAPE), noise[order])
    first = np.asarray(draw_noise(5, jnp.array([0], jnp.uint32), SHAPE))  # of training
    values = np.concatenate([noise, first]).reshape(5, -1)
    assert len(np.unique(values)) > 0.99 * values.size  # rows and tracks share nothing


def test_each_draw_has_keys_of_its_own():
    keys = [np.asarray(jax.random.key_data(example_keys(0, INDEX, draw))) for draw in Draw]
    rows = np.concatenate(keys)
    assert len(np.unique(rows, axis=0)) == len(rows)
