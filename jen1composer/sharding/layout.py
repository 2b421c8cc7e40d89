"""A layout: rules on a mesh, and so the place of every array of a training step.

An axis is split over the mesh axes that its rule names if they divide it; a weight of few bytes
stays whole. Of a weight there are two places,

(1) stored:  all its rules hold
(2) used:    as (1), but whole along `channel`

and the step between them, an all-gather, is taken after the weight is cast to what is computed
with: half the bytes are moved where that is bfloat16. Its gradient comes back by a reduce-scatter.

Where XLA is wrong. A convolution whose frames are split has a wrong weight gradient if some axis of
the mesh splits neither the batch nor the frames (measured with jax 0.6 to 0.12, on CPU and compiled
for TPU): its all-reduce runs over that axis too. Such a layout is refused; so is any other with an
axis that splits nothing, since devices along it would all do the same.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jen1composer.errors import BadInput
from jen1composer.sharding.rules import Rules

PyTree = Any
LogicalAxes = Sequence[str | None]

FEATURE_AXES = ('batch', 'frame', 'inner', 'heads')
WEIGHT_AXES = ('channel', 'inner', 'heads')
PARAMETER_BYTES = 4  # they are float32 wherever they are stored


class Whole(NamedTuple):
    """A weight that every device holds whole."""

    name: str
    num_bytes: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the arrays of a training step live; it is handed to networks as their `Placement`.

    Raises BadInput for a layout that XLA computes wrongly, or whose devices do the same work.
    """

    mesh: Mesh
    rules: Rules

    def __post_init__(self) -> None:
        splitting = {*self.rules.axes('batch'), *self.rules.axes('frame')}
        for axis, size in self.mesh.shape.items():
            if size > 1 and axis not in splitting and self.parts('frame') > 1:
                raise BadInput(
                    f'sharding.mesh: {axis}={size} beside '
                    f'{"=".join(self.rules.axes("frame"))}={self.parts("frame")}; allowed where '
                    'frames are split are axes that split the batch, since XLA gives convolutions '
                    'wrong weight gradients otherwise'
                )
        working = self.working_axes
        for axis, size in self.mesh.shape.items():
            if size > 1 and axis not in working:
                raise BadInput(
                    f'sharding.mesh: {axis}={size} splits nothing that is computed: its devices '
                    f'would do the same; allowed are sizes of {", ".join(working)}'
                )

    # ---- Where things are.

    @property
    def batch(self) -> NamedSharding:
        """Of every array of a batch: its leading axis is split."""
        return NamedSharding(self.mesh, PartitionSpec(self.rules.batch))

    @property
    def batch_parts(self) -> int:
        """Into how many parts a batch is split."""
        return self.parts('batch')

    @property
    def working_axes(self) -> tuple[str, ...]:
        """The mesh axes that split features, and so what is computed."""
        splitting = {axis for name in FEATURE_AXES for axis in self.rules.axes(name)}
        return tuple(axis for axis in self.mesh.axis_names if axis in splitting)

    @property
    def work_parts(self) -> int:
        """Over how many devices a step's work is split."""
        return math.prod(self.mesh.shape[axis] for axis in self.working_axes)

    def stored(self, axes: LogicalAxes, shape: Sequence[int]) -> PartitionSpec:
        """(1), of a weight with these logical axes."""
        if math.prod(shape) * PARAMETER_BYTES < self.rules.whole_below_bytes:
            return PartitionSpec()
        return self._spec(axes, shape)

    def state(self, boxed: PyTree) -> PyTree:
        """A NamedSharding for each leaf of a tree of boxed shapes.

        `boxed` is what `jax.eval_shape` gives for a state whose weights carry their logical axes
        (`nn.with_logical_partitioning`); leaves without names are on all devices.
        """

        def place(spec: PartitionSpec, part: PyTree) -> PyTree:
            # An optimiser that leaves a weight to another one has an empty tree in its place.
            return jax.tree.map(
                lambda leaf: NamedSharding(self.mesh, self.stored(tuple(spec), leaf.shape)), part
            )

        names = nn.get_partition_spec(boxed)
        return jax.tree.map(
            place, names, nn.unbox(boxed), is_leaf=lambda x: isinstance(x, PartitionSpec)
        )

    def left_whole(self, boxed: PyTree) -> list[Whole]:
        """The weights, largest first, that are split over nothing though they are large enough.

        Empty where the rules split no weights. Raises BadInput where they are too large a share.
        """
        if all(self.parts(name) == 1 for name in WEIGHT_AXES):
            return []
        leaves = jax.tree_util.tree_leaves_with_path(nn.unbox(boxed))
        places = jax.tree.leaves(self.state(boxed))
        sizes = {jax.tree_util.keystr(p, simple=True, separator='/'): _bytes(x) for p, x in leaves}
        found = [
            Whole(name, size)
            for (name, size), place in zip(sizes.items(), places, strict=True)
            if place.is_fully_replicated and size >= max(1, self.rules.whole_below_bytes)
        ]
        found.sort(key=lambda whole: -whole.num_bytes)
        share = sum(whole.num_bytes for whole in found) / max(1, sum(sizes.values()))
        if share > self.rules.most_whole:
            raise BadInput(
                f'sharding: {share:.0%} of the weights stay whole on each device, the largest '
                f'{found[0].name} of {found[0].num_bytes / 2**20:.1f} MiB; allowed is '
                f'{self.rules.most_whole:.0%}, with widths that {dict(self.mesh.shape)} divides'
            )
        return found

    # ---- What a network asks of it, see `models.layers.Placement`.

    def weight(self, x: jax.Array, axes: LogicalAxes) -> jax.Array:
        """From (1) to (2)."""
        x = self._constrained(x, self.stored(axes, x.shape))
        gathered = [None if name == 'channel' else name for name in axes]
        return self._constrained(x, self.stored(gathered, x.shape))

    def features(self, x: jax.Array, axes: LogicalAxes) -> jax.Array:
        """`x` with its axes split as the rules say."""
        return self._constrained(x, self._spec(axes, x.shape))

    def _constrained(self, x: jax.Array, spec: PartitionSpec) -> jax.Array:
        if self.mesh.size == 1:
            return x
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))

    def parts(self, name: str | None) -> int:
        """Into how many parts the logical axis `name` is split."""
        return math.prod(self.mesh.shape[axis] for axis in self.rules.axes(name))

    def _spec(self, axes: LogicalAxes, shape: Sequence[int]) -> PartitionSpec:
        if len(axes) != len(shape):
            raise ValueError(f'{len(axes)} logical axes, {list(axes)}, of an array {list(shape)}')
        parts = [
            getattr(self.rules, name) if name and size % self.parts(name) == 0 else None
            for name, size in zip(axes, shape, strict=True)
        ]
        return PartitionSpec(*parts)


def check_batch(batch: int, layout: Layout, accumulate: int = 1) -> None:
    """Raises BadInput where a global batch, or one of the parts of it, cannot be split."""
    parts = layout.batch_parts * accumulate
    if batch < 1 or batch % parts:
        each = f', in {accumulate} parts each' if accumulate > 1 else ''
        raise BadInput(
            f'batch: {batch}; allowed are multiples of {parts}, since it is split over '
            f'{layout.batch_parts} devices{each}'
        )


def host_share(layout: Layout, batch: int) -> tuple[int, int]:
    """Which part of a global batch this process feeds: (part, parts).

    Hosts that hold the same rows, because an axis that splits no batch runs over them, feed the
    same part. Raises BadInput where the rows of a host are not one run of the batch.
    """
    where = layout.batch.addressable_devices_indices_map((batch,))
    ranges = sorted({index[0].indices(batch)[:2] for index in where.values() if index is not None})
    first, last = ranges[0][0], ranges[-1][1]
    if sum(end - start for start, end in ranges) != last - first or first % (last - first):
        raise BadInput(
            f'sharding.mesh: {dict(layout.mesh.shape)} gives this host the rows {ranges} of a '
            f'batch of {batch}; allowed are meshes that give each host one run of rows'
        )
    return first // (last - first), batch // (last - first)


def _bytes(leaf: Any) -> int:
    return int(leaf.size) * np.dtype(leaf.dtype).itemsize
