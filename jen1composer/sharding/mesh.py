"""The device mesh: named axes over which batches, features and weights are split.

    data        splits the batch; weights are on all of its devices
    fsdp        splits the batch as well, and weights where they are stored
    tensor      splits features and the weights that make them
    sequence    splits the frames

The product of the sizes is the number of devices. The axes are `Auto`: XLA chooses how to
communicate, the shardings of inputs, outputs and what lies between say only where things are.

Between slices (TPU pods joined by a data-centre network) bytes are dear, so `data`, which only adds
gradients up, is the outermost axis: one slice holds whole rows of it.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh

from jen1composer.errors import BadInput

AXES = ('data', 'fsdp', 'tensor', 'sequence')


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshShape:
    """Devices along each axis; one of them may be -1, which is what the others leave."""

    data: int = 1
    fsdp: int = 1
    tensor: int = 1
    sequence: int = 1

    @classmethod
    def parse(cls, text: str) -> 'MeshShape':
        """E.g. of 'data=2,fsdp=-1'; an axis that is not named has size 1.

        Raises BadInput for what is no such list.
        """
        sizes: dict[str, int] = {}
        for part in text.split(','):
            axis, _, size = part.strip().partition('=')
            if axis not in AXES or axis in sizes or not size.removeprefix('-').isdecimal():
                raise BadInput(
                    f'sharding.mesh: {text!r}; allowed are sizes of {", ".join(AXES)}, once each, '
                    "such as 'data=2,fsdp=-1', where -1 is what the others leave"
                )
            sizes[axis] = int(size)
        return cls(**sizes)

    def filled(self, num_devices: int) -> 'MeshShape':
        """This shape with a number in place of -1.

        Raises BadInput, naming the sizes, where they do not multiply to the number of devices.
        """
        sizes = dataclasses.asdict(self)
        open_axes = [axis for axis, size in sizes.items() if size == -1]
        fixed = math.prod(size for size in sizes.values() if size != -1)
        if len(open_axes) == 1 and fixed > 0:
            sizes[open_axes[0]] = num_devices // fixed
        if min(sizes.values()) < 1 or math.prod(sizes.values()) != num_devices:
            raise BadInput(
                f'sharding.mesh: {self}; allowed are sizes whose product is the number of devices, '
                f'{num_devices}; -1, once, is what the others leave'
            )
        return MeshShape(**sizes)

    def __str__(self) -> str:
        named = [f'{axis}={size}' for axis, size in dataclasses.asdict(self).items() if size != 1]
        return ','.join(named) or 'data=1'


def make_mesh(shape: MeshShape, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of that shape over `devices` (default: all); those of a topology will do.

    Raises BadInput where the sizes do not fit the devices, or `data` not their slices.
    """
    devices = jax.devices() if devices is None else list(devices)
    full = shape.filled(len(devices))
    sizes = tuple(getattr(full, axis) for axis in AXES)
    slices = num_slices(devices)
    types = (AxisType.Auto,) * len(AXES)
    # TPUs are wired as a torus, and an axis may be a part of one of its: tensor=4 of 16 x 16.
    split: dict[str, Any] = {'devices': devices, 'allow_split_physical_axes': True}
    if slices == 1:
        return Mesh(mesh_utils.create_device_mesh(sizes, **split), AXES, axis_types=types)
    if full.data % slices:
        raise BadInput(
            f'sharding.mesh: {full}; allowed on {slices} slices are multiples of {slices} for '
            'data, the axis that crosses from one slice to another'
        )
    inside = (full.data // slices, *sizes[1:])
    across = (slices, *(1,) * (len(AXES) - 1))
    array = mesh_utils.create_hybrid_device_mesh(inside, across, **split)
    return Mesh(array, AXES, axis_types=types)


def num_slices(devices: Sequence[jax.Device]) -> int:
    """How many slices `devices` are of; only TPUs come in slices."""
    return len({getattr(device, 'slice_index', 0) for device in devices})
