"""What a step needs of a device, and one that does not fit is refused before it runs."""

import dataclasses

import jax
import pytest

from jen1composer.sharding.costs import compiled_costs
from jen1composer.training.memory import Memory, OutOfMemory, step_memory
from tests.jen1composer.training import toy

MEMORY = Memory(weights=1, optimizer=2, average=1, batch=4, temporaries=2**30)


def test_of_a_step_as_it_is_compiled():
    state, batch = toy.fresh_state(), jax.device_put(toy.batch_of(0))
    compiled = toy.make_step().lower(state, batch).compile()
    memory = step_memory(compiled, state, batch, batches=2)
    assert memory.temporaries == compiled_costs(compiled, 'cpu').temporary_bytes > 0
    assert memory.weights == memory.average == 4 * (15 + 5)
    assert memory.batch == 2 * 4 * 4 * 3
    assert memory.total == sum(dataclasses.astuple(memory))


def test_a_step_that_does_not_fit_is_refused_in_one_line():
    MEMORY.require_at_most(MEMORY.total)
    MEMORY.require_at_most(None)
    with pytest.raises(OutOfMemory, match=r'temporaries 1\.00 GiB; allowed is 1\.00 GiB') as raised:
        MEMORY.require_at_most(MEMORY.total - 1)
    assert '\n' not in str(raised.value)
