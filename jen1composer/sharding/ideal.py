"""The bytes that a strategy needs to send, in closed form, whatever a compiler makes of it.

A weight has n elements of e bytes in what is computed with; u devices use a part of it each, f
devices store a part of each of those (`layout`, (1) and (2)), and the examples, or the frames, are
spread over d = f r devices. In a step, and with k parts of the batch one after another, a device
sends at the least

(1) k 2 (f - 1) / f  n e / u     all-gather: the weight, for the forward pass and for the gradient
(2) (f - 1) / f  n e / u         reduce-scatter: its gradient, to where it is stored
(3) 2 (r - 1) / r  n e / (u f)   all-reduce: what is left of the gradient, over the other devices

with f = 1 for DP and u = 1 without TP. Every block that is split over t devices by `inner` or
`heads` adds up what it gives, features of a bytes on each device, and the gradient of what it
takes:

(4) 2 . 2 (t - 1) / t  a         all-reduce, forward and backward

Where frames are split over s devices, a convolution of width w and stride p sees w - p frames of
others, if that is more than none, and attention over frames sees all keys and values, c bytes
together when they are whole:

(5) 2 (w - p) frames             collective-permute: its input, and the gradient of that
(6) 2 (s - 1) / s  c             all-gather: keys and values, forward and backward
(7) (s - 1) / s  c               reduce-scatter: their gradients

Weights that no layout places (scales, biases) are summed as in (3), in float32. What remat computes
again it also sends again, (4) to (6), and a compiler may gather a weight once where it is kept:
both are told by the difference. Weights that the config leaves without use are counted, and no
compiler sends their gradients. Left out are norms over split features or frames, the loss and the
gradient's norm, a few numbers each, and what an optimiser sends for products of its own: Muon, of
which most of what a compiler moves beyond this may be.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jen1composer.sharding.collectives import sent
from jen1composer.sharding.layout import PARAMETER_BYTES, Layout, LogicalAxes


class Noted(NamedTuple):
    """An array that a network has asked its placement about."""

    shape: Sequence[int]
    itemsize: int
    axes: LogicalAxes

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.itemsize


@dataclasses.dataclass(frozen=True, eq=False)
class Notebook:
    """A `Placement` that leaves everything where it is, and notes what it was asked."""

    weights: list[Noted] = dataclasses.field(default_factory=list)
    seen: list[Noted] = dataclasses.field(default_factory=list)  # features, in their order

    def weight(self, x: jax.Array, axes: LogicalAxes) -> jax.Array:
        self.weights.append(Noted(x.shape, x.dtype.itemsize, tuple(axes)))
        return x

    def features(self, x: jax.Array, axes: LogicalAxes) -> jax.Array:
        self.seen.append(Noted(x.shape, x.dtype.itemsize, tuple(axes)))
        return x


def ideal_bytes(
    forward: Callable[..., Any],
    arguments: Sequence[Any],
    notebook: Notebook,
    *,
    layout: Layout,
    num_parameters: int,
    accumulate: int = 1,
) -> dict[str, float]:
    """What a device sends in a step at the least, by kind of collective; kinds of nothing left out.

    Args:
        forward: the network's forward pass, whose placement is `notebook`; traced, not run.
        arguments: shapes of what it takes.
        notebook: a new one.
        layout: that is asked about.
        num_parameters: of the whole network.
        accumulate: k of (1).
    """
    jaxpr = jax.make_jaxpr(forward)(*arguments).jaxpr
    found: dict[str, float] = collections.defaultdict(float)
    parts = {axis: layout.parts(axis) for axis in ('batch', 'frame', 'inner', 'heads')}
    split = parts['batch'] * parts['frame']
    for weight in notebook.weights:
        for kind, num_bytes in _of_weight(weight, layout, split, accumulate).items():
            found[kind] += num_bytes
    unplaced = num_parameters - sum(math.prod(weight.shape) for weight in notebook.weights)
    found['all-reduce'] += sent('all-reduce', split) * unplaced * PARAMETER_BYTES
    found['all-reduce'] += sum(
        2 * sent('all-reduce', over) * features.num_bytes / split
        for features, over in _sums(notebook.seen, parts)
    )
    if parts['frame'] > 1:
        found['collective-permute'] += 2 * sum(_halos(jaxpr)) / parts['batch']
        attended = sum(_keys_and_values(notebook.seen)) / parts['batch']
        found['all-gather'] += 2 * sent('all-gather', parts['frame']) * attended
        found['reduce-scatter'] += sent('reduce-scatter', parts['frame']) * attended
    return {kind: num_bytes for kind, num_bytes in found.items() if num_bytes > 0}


def _of_weight(weight: Noted, layout: Layout, split: int, accumulate: int) -> Mapping[str, float]:
    """(1) to (3)."""
    whole = [None if name == 'channel' else name for name in weight.axes]
    used = weight.num_bytes / _pieces(layout, whole, weight.shape)
    f = _pieces(layout, weight.axes, weight.shape) // _pieces(layout, whole, weight.shape)
    return {
        'all-gather': accumulate * 2 * sent('all-gather', f) * used,  # (1)
        'reduce-scatter': sent('reduce-scatter', f) * used,  # (2)
        'all-reduce': sent('all-reduce', split // f) * used / f,  # (3)
    }


def _pieces(layout: Layout, axes: LogicalAxes, shape: Sequence[int]) -> int:
    """Into how many a weight is cut where it is stored."""
    spec = layout.stored(axes, shape)
    names = [name for part in spec if part for name in ([part] if isinstance(part, str) else part)]
    return math.prod(layout.mesh.shape[name] for name in names)


def _sums(seen: Sequence[Noted], parts: Mapping[str, int]) -> Iterator[tuple[Noted, int]]:
    """(4): features that come whole out of a split block, with over how many they are added up."""
    over = 1
    for features in seen:
        inside = [
            parts[name]
            for name, size in zip(features.axes, features.shape, strict=True)
            if name in ('inner', 'heads') and size % parts[name] == 0  # else it stays whole
        ]
        if not inside and over > 1:
            yield features, over
        over = math.prod(inside)


def _keys_and_values(seen: Sequence[Noted]) -> Iterator[int]:
    """c of (6): queries, keys and values come in threes; keys of a context have no frames."""
    heads = [features for features in seen if 'heads' in features.axes]
    for _, key, value in zip(heads[::3], heads[1::3], heads[2::3], strict=True):
        if 'frame' in key.axes:
            yield key.num_bytes + value.num_bytes


def _halos(jaxpr: Any) -> Iterator[float]:
    """(5): bytes of w - p frames of what each convolution of a forward pass is given."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == 'conv_general_dilated':
            x, kernel = (variable.aval for variable in equation.invars)
            numbers = equation.params['dimension_numbers']
            width, frames = kernel.shape[numbers.rhs_spec[2]], x.shape[numbers.lhs_spec[2]]
            reach = (width - 1) * equation.params['rhs_dilation'][0]  # beyond the first it sees
            others = max(0, reach + 1 - equation.params['window_strides'][0])
            yield others * x.size // frames * np.dtype(x.dtype).itemsize
        for value in equation.params.values():
            inner = getattr(value, 'jaxpr', value)
            if hasattr(inner, 'eqns'):
                yield from _halos(inner)
