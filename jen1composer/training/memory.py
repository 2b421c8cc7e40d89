"""What a training step needs of each device's memory, told before the first one runs.

Of the state and the batch it is known from their shardings, of the rest from the compiler, as
`sharding.costs` reads it. Of CPUs no limit is known.
"""

import dataclasses
from typing import Any

import jax

from jen1composer.errors import RunFailed
from jen1composer.sharding.chips import GIB, find_chip
from jen1composer.sharding.costs import bytes_a_device, compiled_costs
from jen1composer.training.state import TrainState


class OutOfMemory(RunFailed):
    """A step that does not fit."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on one device."""

    weights: int
    optimizer: int
    average: int
    batch: int  # two of them, where one is placed ahead
    temporaries: int  # activations, gradients, gathered weights

    @property
    def total(self) -> int:
        return sum(dataclasses.astuple(self))

    def line(self) -> str:
        parts = ', '.join(f'{k} {_size(v)}' for k, v in dataclasses.asdict(self).items())
        return f'memory a device: {_size(self.total)}: {parts}'

    def require_at_most(self, limit: int | None) -> None:
        """Raises OutOfMemory where it is more than `limit` bytes, None for unknown."""
        if limit is not None and self.total > limit:
            raise OutOfMemory(
                f'{self.line()}; allowed is {_size(limit)}, and a smaller batch, '
                'accumulate, model.remat or a strategy that splits weights make it less'
            )


def step_memory(compiled: Any, state: TrainState, batch: Any, batches: int = 1) -> Memory:
    """Of a compiled step on this state, or its shapes, with so many batches on the devices."""
    (device, *_) = jax.tree.leaves(state.params)[0].sharding.device_set
    return Memory(
        weights=bytes_a_device(state.params),
        optimizer=bytes_a_device(state.opt_state),
        average=bytes_a_device(state.ema),
        batch=batches * bytes_a_device(batch),
        temporaries=compiled_costs(compiled, device.platform).temporary_bytes or 0,
    )


def require_state_fits(abstract: TrainState, limit: int | None) -> None:
    """Raises OutOfMemory where the shapes of a state alone are more than `limit` bytes a device.

    It is asked before anything is allocated; None is for unknown.
    """
    parts = {
        'weights': bytes_a_device(abstract.params),
        'optimizer': bytes_a_device(abstract.opt_state),
        'average': bytes_a_device(abstract.ema),
    }
    total = sum(parts.values())
    if limit is not None and total > limit:
        said = ', '.join(f'{name} {_size(size)}' for name, size in parts.items())
        raise OutOfMemory(
            f'the state alone takes {_size(total)} of a device: {said}; allowed is {_size(limit)}, '
            'and more devices with a strategy that splits weights, or a smaller model, make it less'
        )


def memory_limit(device: Any) -> int | None:
    """Bytes that programs may have of a device, or else that its chip has; None where unknown."""
    stats = device.memory_stats() or {}
    if 'bytes_limit' in stats:
        return int(stats['bytes_limit'])
    chip = find_chip(device.device_kind)
    return None if chip is None else chip.memory_bytes


def _size(num_bytes: int) -> str:
    return f'{num_bytes / GIB:.2f} GiB' if num_bytes >= GIB / 10 else f'{num_bytes / 2**20:.1f} MiB'
