"""The device mesh: named axes over which batches and weights are split.

`data` replicates weights and splits the batch; `fsdp` splits both. Their product is the number of
devices; -1 for one of them takes all that the other leaves. The axes are `Auto`: XLA chooses how to
communicate, the shardings of inputs and outputs say only where things are.
"""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import AxisType, Mesh

from jen1composer.errors import BadInput

AXES = ('data', 'fsdp')


def make_mesh(
    *, data: int = -1, fsdp: int = 1, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh of `data x fsdp` over `devices` (default: all).

    Raises BadInput, naming the sizes, where they do not multiply to the number of devices.
    """
    devices = jax.devices() if devices is None else list(devices)
    sizes = {'data': data, 'fsdp': fsdp}
    filled = [axis for axis, size in sizes.items() if size == -1]
    fixed = [size for size in sizes.values() if size != -1]
    if len(filled) == 1 and min(fixed) > 0:
        sizes[filled[0]] = len(devices) // int(np.prod(fixed))
    if min(sizes.values()) < 1 or int(np.prod(list(sizes.values()))) != len(devices):
        raise BadInput(
            f'sharding: {data=}, {fsdp=}; allowed are sizes whose product is the number of '
            f'devices, {len(devices)}; -1 is what the other leaves'
        )
    return jax.make_mesh(
        tuple(sizes.values()), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
    )


def check_batch(batch: int, mesh: Mesh) -> None:
    """Raises BadInput where a global batch cannot be split over all devices of the mesh."""
    if batch < 1 or batch % mesh.size:
        raise BadInput(f'batch: {batch}; allowed are multiples of {mesh.size}, the devices')
