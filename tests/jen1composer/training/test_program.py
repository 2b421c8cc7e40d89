"""The two programs of a run: a state is born in its place, and is given to the step."""

import jax

from jen1composer.training.program import make_program
from tests.jen1composer.training import toy


def test_a_step_takes_the_place_of_the_state_that_it_is_given():
    """Or two of them would be on the devices at once."""
    program = make_program(toy.whole_run(1).recipe)
    state = program.begin()
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(
        lambda x: (x.shape, x.dtype), program.abstract
    )
    batch = jax.device_put(toy.batch_of(0), program.batch)
    after, _ = program.step(state, batch)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, batch)))
