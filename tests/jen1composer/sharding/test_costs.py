"""What a device holds of a tree is what its shards take."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jen1composer.sharding.costs import bytes_a_device


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
