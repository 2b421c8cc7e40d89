"""What a device holds of a state, and a step that does not fit is refused before it runs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jen1composer.training.memory import Memory, OutOfMemory, bytes_on_a_device, step_memory
from tests.jen1composer.training import toy

MEMORY = Memory(weights=1, optimizer=2, average=1, batch=4, temporaries=2**30)


def test_what_a_device_holds_is_what_its_shards_take():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:4]), 'x')

    def put(spec, dtype=jnp.float32):
        return jax.device_put(jnp.zeros((8, 6), dtype), NamedSharding(mesh, spec))

    tree = {
        'split': put(PartitionSpec('x')),
        'whole': put(PartitionSpec()),
        'half': put(PartitionSpec('x'), jnp.bfloat16),
    }
    there = [leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(tree)]
    assert bytes_on_a_device(tree) == sum(there) == 8 * 6 * 4 // 4 + 8 * 6 * 4 + 8 * 6 * 2 // 4


def test_of_a_step_as_it_is_compiled():
    state, batch = toy.fresh_state(), jax.device_put(toy.batch_of(0))
    memory = step_memory(toy.make_step().lower(state, batch).compile(), state, batch, batches=2)
    assert memory.weights == memory.average == 4 * (15 + 5)
    assert memory.batch == 2 * 4 * 4 * 3
    assert memory.total == sum(dataclasses.astuple(memory))


def test_a_step_that_does_not_fit_is_refused_in_one_line():
    MEMORY.require_at_most(MEMORY.total)
    MEMORY.require_at_most(None)
    with pytest.raises(OutOfMemory, match=r'temporaries 1\.00 GiB; allowed is 1\.00 GiB') as raised:
        MEMORY.require_at_most(MEMORY.total - 1)
    assert '\n' not in str(raised.value)
