"""What a device holds of a tree, and at the most while a step runs."""

import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jen1composer.sharding.costs import bytes_a_device, compiled_costs


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
    assert bytes_a_device(tree) == sum(there) == 8 * 6 * 4 // 4 + 8 * 6 * 4 + 8 * 6 * 2 // 4


def program(**sizes: int) -> Any:
    """A compiled program of which the compiler says this."""
    memory = types.SimpleNamespace(**{f'{name}_size_in_bytes': n for name, n in sizes.items()})
    memory.peak_memory_in_bytes = sizes['peak']
    return types.SimpleNamespace(memory_analysis=lambda: memory, cost_analysis=lambda: None)


@pytest.mark.parametrize(
    ('platform', 'told', 'peak', 'temporary'),
    [
        ('tpu', 150, 150, 40),  # whatever the size of what is temporary
        ('gpu', 150, 150, 40),
        ('tpu', 0, 1110, 1000),  # by a compiler that does not tell it
        ('cpu', 112, 1110, 1000),  # whose peak has nothing temporary in it
    ],
)
def test_the_peak_is_the_compilers_where_it_tells_one(platform, told, peak, temporary):
    said = program(argument=100, output=60, alias=50, temp=1000, peak=told)
    found = compiled_costs(said, platform)
    assert (found.peak_bytes, found.temporary_bytes) == (peak, temporary)


def test_a_compiled_program_here_holds_what_it_works_on():
    def double(x: jax.Array) -> jax.Array:
        return jnp.sort(jnp.sin(x) @ x) * 2  # whose product must be somewhere

    x = jax.ShapeDtypeStruct((256, 256), jnp.float32)
    found = compiled_costs(jax.jit(double, donate_argnums=0).lower(x).compile(), 'cpu')
    assert found.argument_bytes == found.shared_bytes == found.output_bytes == 4 * 256**2
    assert found.temporary_bytes >= 4 * 256**2
    assert found.peak_bytes == found.argument_bytes + found.temporary_bytes
