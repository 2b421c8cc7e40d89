"""What a device holds of a training state, and what a compiled step takes of it.

Bytes of the state follow from shapes and shardings alone,

(1) sum over the leaves of the bytes of a shard

and the rest is the compiler's word. At the most a step holds its arguments, its results beside
those that take the place of an argument, and what it needs meanwhile:

(2) peak = arguments + results - shared + meanwhile

Compilers for TPUs and GPUs tell the peak, and `meanwhile` is what (2) makes of it. Their size of
all that is temporary is another thing: compiled for a TPU v5e, 2.48 GiB where the peak leaves 1.84,
in another program .08 where it leaves .14. What the compiler for CPUs calls the peak leaves out all
that is temporary, and its size of that stands in (2).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.stages import Compiled

PyTree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledCosts:
    """Of one device and step; None where the compiler does not say.

    Attributes:
        argument_bytes: state and batch.
        output_bytes, shared_bytes: what is given back, and how much of it in an argument's place.
        temporary_bytes: `meanwhile` of (2): activations, gradients, weights that are gathered.
        peak_bytes: all that is held at once at the most.
        flops: operations, as XLA counts them.
        bytes_accessed: read and written, by each instruction after fusion.
    """

    argument_bytes: int | None
    output_bytes: int | None
    shared_bytes: int | None
    temporary_bytes: int | None
    peak_bytes: int | None
    flops: float | None
    bytes_accessed: float | None


def bytes_a_device(tree: PyTree) -> int:
    """(1), of a tree of arrays, or of their shapes with shardings."""
    return sum(
        math.prod(leaf.sharding.shard_shape(leaf.shape)) * np.dtype(leaf.dtype).itemsize
        for leaf in jax.tree.leaves(tree)
    )


def compiled_costs(compiled: Compiled, platform: str) -> CompiledCosts:
    """What the compiler says of a program for `platform` (cpu, gpu or tpu), with (2)."""
    memory, costs = compiled.memory_analysis(), _costs(compiled)
    flops, accessed = costs.get('flops'), costs.get('bytes accessed')
    if memory is None:
        nothing: dict[str, Any] = dict.fromkeys(
            ('argument_bytes', 'output_bytes', 'shared_bytes', 'temporary_bytes', 'peak_bytes')
        )
        return CompiledCosts(**nothing, flops=flops, bytes_accessed=accessed)
    arguments, output = memory.argument_size_in_bytes, memory.output_size_in_bytes
    shared = memory.alias_size_in_bytes
    held = arguments + output - shared
    peak = getattr(memory, 'peak_memory_in_bytes', 0) if platform != 'cpu' else 0
    peak = peak or held + memory.temp_size_in_bytes
    return CompiledCosts(
        argument_bytes=arguments,
        output_bytes=output,
        shared_bytes=shared,
        temporary_bytes=max(0, peak - held),
        peak_bytes=peak,
        flops=flops,
        bytes_accessed=accessed,
    )


def _costs(compiled: Compiled) -> dict[str, float]:
    """XLA's estimates; a negative one, as that of the time on some TPUs, is none."""
    costs = compiled.cost_analysis() or {}
    costs = costs[0] if isinstance(costs, Sequence) else costs
    return {name: value for name, value in costs.items() if value >= 0}
