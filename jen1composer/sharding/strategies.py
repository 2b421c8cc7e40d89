"""Strategies by name: rules, and the mesh that they are meant for.

    dp       every device holds all weights, the batch is split over all devices
    fsdp     the batch as in dp; each large weight, with its moments and its average, is also split
             over all devices by its stream's channels and gathered where it is used
    tp       blocks are split over a few neighbouring devices by heads and inner channels
    fsdp_tp  both: tp inside, fsdp over the rest
    hybrid   fsdp inside a slice, dp over slices: between them gradients alone are moved
    sp       dp, and frames are split over a few neighbouring devices

A mesh is given as 'data=2,fsdp=4' where another than the default is wanted. By default tp takes
four devices, as many as a TPU or GPU host commonly has, and sp two; hybrid has one row of `data`
for each slice, else for each host, else two.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import jax

from jen1composer.errors import BadInput
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.mesh import MeshShape, make_mesh, num_slices
from jen1composer.sharding.rules import Rules

Devices = Sequence[jax.Device]

TENSOR_DEVICES = 4
SEQUENCE_DEVICES = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Strategy:
    """Rules with the mesh they take by default, which depends on the devices."""

    rules: Rules
    mesh_shape: Callable[[Devices], MeshShape]

    def layout(self, mesh: str = '', devices: Devices | None = None) -> Layout:
        """On `devices` (default: all), in the shape `mesh`, see `MeshShape.parse`; '': its own.

        Raises BadInput where they do not fit each other.
        """
        devices = jax.devices() if devices is None else devices
        shape = MeshShape.parse(mesh) if mesh else self.mesh_shape(devices)
        return Layout(mesh=make_mesh(shape, devices), rules=self.rules)


def rows(devices: Devices) -> int:
    """Rows of `data` that hybrid makes of `devices`."""
    hosts = len({device.process_index for device in devices})
    most = max(num_slices(devices), hosts)
    return most if most > 1 else math.gcd(len(devices), 2)


STRATEGIES = {
    'dp': Strategy(rules=Rules(), mesh_shape=lambda devices: MeshShape(data=-1)),
    'fsdp': Strategy(
        rules=Rules(channel='fsdp'),
        mesh_shape=lambda devices: MeshShape(data=num_slices(devices), fsdp=-1),
    ),
    'tp': Strategy(
        rules=Rules(inner='tensor', heads='tensor', most_whole=0.5),
        mesh_shape=lambda devices: MeshShape(
            data=-1, tensor=math.gcd(len(devices), TENSOR_DEVICES)
        ),
    ),
    'fsdp_tp': Strategy(
        rules=Rules(channel='fsdp', inner='tensor', heads='tensor'),
        mesh_shape=lambda devices: MeshShape(
            data=num_slices(devices), fsdp=-1, tensor=math.gcd(len(devices), TENSOR_DEVICES)
        ),
    ),
    'hybrid': Strategy(
        rules=Rules(channel='fsdp'),
        mesh_shape=lambda devices: MeshShape(data=rows(devices), fsdp=-1),
    ),
    'sp': Strategy(
        rules=Rules(frame='sequence'),
        mesh_shape=lambda devices: MeshShape(
            data=-1, sequence=math.gcd(len(devices), SEQUENCE_DEVICES)
        ),
    ),
}


def strategy(name: str) -> Strategy:
    """The strategy of that name; raises BadInput with the names there are."""
    if name not in STRATEGIES:
        raise BadInput(f'sharding.strategy: {name!r}; allowed are {", ".join(STRATEGIES)}')
    return STRATEGIES[name]
