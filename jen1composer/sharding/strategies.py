"""Strategies by name: rules, and the mesh that they are meant for.

    dp       every device holds all weights, the batch is split over all devices
    fsdp     the batch as in dp; each large weight, with its moments and its average, is also split
             over all devices by its stream's channels and gathered where it is used
    tp       blocks are split over a few neighbouring devices by heads and inner channels
    fsdp_tp  both: tp inside, fsdp over the rest
    hybrid   fsdp inside a slice, dp over slices: between them gradients alone are moved
    sp       dp, and frames are split over a few neighbouring devices

A mesh is given as 'data=2,fsdp=4' where another than the default is wanted. By default tp takes
four devices, as many as a TPU or GPU host commonly has, fsdp_tp too unless that leaves none for
fsdp, and sp two; hybrid has one row of `data` for each slice, else for each host, else two.

On several devices the axes that make a strategy what it is must be larger than one: what is called
fsdp would be dp otherwise. On one device all of them are the same.
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
    """Rules with the mesh they take by default, which depends on the devices.

    Attributes:
        name: as configs have it.
        rules: what is split over which axis.
        makes: the mesh axes that make it what it is.
        mesh_shape: its own mesh, of given devices.
    """

    name: str
    rules: Rules
    makes: tuple[str, ...] = ()
    mesh_shape: Callable[[Devices], MeshShape]

    def layout(self, mesh: str = '', devices: Devices | None = None) -> Layout:
        """On `devices` (default: all), in the shape `mesh`, see `MeshShape.parse`; '': its own.

        Raises BadInput where they do not fit each other.
        """
        devices = jax.devices() if devices is None else devices
        shape = MeshShape.parse(mesh) if mesh else self.mesh_shape(devices)
        layout = Layout(mesh=make_mesh(shape, devices), rules=self.rules)
        for axis in self.makes:
            if layout.mesh.size > 1 and layout.mesh.shape[axis] == 1:
                raise BadInput(
                    f'sharding.mesh: {shape.filled(len(devices))} with {axis}=1 is not '
                    f'{self.name}; allowed on several devices are {" and ".join(self.makes)} of '
                    '2 or more, or another sharding.strategy'
                )
        return layout


def tensor_devices(devices: Devices) -> int:
    """Devices along `tensor` of fsdp_tp: some are left for fsdp where that can be."""
    inside = len(devices) // num_slices(devices)
    most = math.gcd(inside, TENSOR_DEVICES)
    return most // 2 if most == inside and most > 2 else most


def rows(devices: Devices) -> int:
    """Rows of `data` that hybrid makes of `devices`."""
    hosts = len({device.process_index for device in devices})
    most = max(num_slices(devices), hosts)
    return most if most > 1 else math.gcd(len(devices), 2)


STRATEGIES = {
    strategy.name: strategy
    for strategy in (
        Strategy(name='dp', rules=Rules(), mesh_shape=lambda devices: MeshShape(data=-1)),
        Strategy(
            name='fsdp',
            rules=Rules(channel='fsdp'),
            makes=('fsdp',),
            mesh_shape=lambda devices: MeshShape(data=num_slices(devices), fsdp=-1),
        ),
        Strategy(
            name='tp',
            rules=Rules(inner='tensor', heads='tensor', most_whole=0.5),
            makes=('tensor',),
            mesh_shape=lambda devices: MeshShape(
                data=-1, tensor=math.gcd(len(devices), TENSOR_DEVICES)
            ),
        ),
        Strategy(
            name='fsdp_tp',
            rules=Rules(channel='fsdp', inner='tensor', heads='tensor'),
            makes=('fsdp', 'tensor'),
            mesh_shape=lambda devices: MeshShape(
                data=num_slices(devices), fsdp=-1, tensor=tensor_devices(devices)
            ),
        ),
        Strategy(
            name='hybrid',
            rules=Rules(channel='fsdp'),
            makes=('data', 'fsdp'),
            mesh_shape=lambda devices: MeshShape(data=rows(devices), fsdp=-1),
        ),
        Strategy(
            name='sp',
            rules=Rules(frame='sequence'),
            makes=('sequence',),
            mesh_shape=lambda devices: MeshShape(
                data=-1, sequence=math.gcd(len(devices), SEQUENCE_DEVICES)
            ),
        ),
    )
}


def strategy(name: str) -> Strategy:
    """The strategy of that name; raises BadInput with the names there are."""
    if name not in STRATEGIES:
        raise BadInput(f'sharding.strategy: {name!r}; allowed are {", ".join(STRATEGIES)}')
    return STRATEGIES[name]
