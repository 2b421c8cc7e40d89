"""The state: pure at the start, and nothing of it shares a buffer that is donated."""

import jax
import numpy as np

from jen1composer.training.state import initial_state, parameter_count
from tests.jen1composer.training import toy


def test_it_begins_at_step_zero_with_the_average_at_the_parameters():
    state = toy.fresh_state()
    assert int(state.step) == 0
    assert state.step.dtype == np.int32
    jax.tree.map(np.testing.assert_array_equal, state.ema, state.params)


def test_no_two_leaves_share_a_buffer():
    buffers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(toy.fresh_state())]
    assert len(set(buffers)) == len(buffers)


def test_it_can_be_shaped_without_being_made():
    def never() -> dict:
        return toy.init_params()

    shapes = jax.eval_shape(lambda: initial_state(never, toy.OPTIMIZER))
    made = toy.fresh_state()
    assert jax.tree.structure(shapes) == jax.tree.structure(made)
    assert all(
        (a.shape, a.dtype) == (b.shape, b.dtype)
        for a, b in zip(jax.tree.leaves(shapes), jax.tree.leaves(made), strict=True)
    )


def test_parameters_are_counted():
    assert parameter_count(toy.init_params()) == 20
    assert parameter_count(jax.eval_shape(toy.init_params)) == 20
