"""Strategies: for each logical axis, the mesh axis it is split over.

A layer names the logical axes of its weights; a strategy says what becomes of each name. So the
same network trains under every strategy, and comparing two of them changes one word of a config.

    dp      every device holds all weights, the batch is split over all devices
    fsdp    the batch as in dp; each large weight is also split over `fsdp` by its input channels
            and gathered where it is used, so that weights, moments and averages shrink with devices
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jen1composer.errors import BadInput

PyTree = Any
MeshAxes = str | tuple[str, ...] | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """One field per logical axis (see `models.layers`); None leaves that axis whole."""

    batch: MeshAxes = ('data', 'fsdp')
    conv_in: MeshAxes = None
    conv_out: MeshAxes = None
    heads: MeshAxes = None
    norm: MeshAxes = None

    # Below this size a weight stays whole: gathering it costs more than holding it.
    whole_below_bytes: int = 256 * 1024


STRATEGIES = {
    'dp': Rules(),
    'fsdp': Rules(conv_in='fsdp', heads='fsdp'),
}


def strategy(name: str) -> Rules:
    """The rules of a named strategy; raises BadInput with the names there are."""
    if name not in STRATEGIES:
        raise BadInput(f'strategy: {name!r}; allowed are {", ".join(STRATEGIES)}')
    return STRATEGIES[name]


def state_shardings(boxed: PyTree, mesh: Mesh, rules: Rules) -> PyTree:
    """A NamedSharding for each leaf of a tree of boxed shapes.

    Args:
        boxed: what `jax.eval_shape` gives for a state whose weights carry their logical axes
            (`nn.with_logical_partitioning`); leaves without names are replicated.
        mesh: the devices.
        rules: the strategy. An axis is split only where the mesh divides it and the weight is large
            enough, and over one mesh axis once: the first name in the weight takes it.
    """
    names = nn.get_partition_spec(boxed)
    shapes = nn.unbox(boxed)

    def place(spec: PartitionSpec, part: PyTree) -> PyTree:
        # An optimiser that leaves a weight to another one has an empty tree in its place.
        return jax.tree.map(
            lambda leaf: NamedSharding(mesh, _leaf_spec(tuple(spec), leaf, mesh, rules)), part
        )

    return jax.tree.map(place, names, shapes, is_leaf=lambda x: isinstance(x, PartitionSpec))


def batch_sharding(mesh: Mesh, rules: Rules) -> NamedSharding:
    """Splits the leading (batch) axis of every array of a batch."""
    return NamedSharding(mesh, PartitionSpec(rules.batch))


def _leaf_spec(
    names: tuple[str | None, ...], leaf: jax.ShapeDtypeStruct, mesh: Mesh, rules: Rules
) -> PartitionSpec:
    if leaf.size * np.dtype(leaf.dtype).itemsize < rules.whole_below_bytes:
        return PartitionSpec()
    used: set[str] = set()
    axes: list[MeshAxes] = []
    for name, size in zip(names, leaf.shape, strict=False):
        wanted = getattr(rules, name) if name else None
        parts = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
        fits = parts and size % int(np.prod([mesh.shape[part] for part in parts])) == 0
        if fits and not used & set(parts):
            used |= set(parts)
            axes.append(wanted)
        else:
            axes.append(None)
    return PartitionSpec(*axes)
