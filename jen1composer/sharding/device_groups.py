"""Which devices of a collective belong together, in every form in which HLO writes it.

(1) lists:      {{0,1},{2,3}};  {} is all devices in one group
(2) an iota:    [2,4]<=[4,2]T(1,0):  0 .. 7 in the shape [4,2], transposed, in 2 rows of 4
(3) a mesh:     mesh['a'=2,'b'=4], device_ids=([4,2]T(1,0)) {'b'}:  the same numbers in a mesh of
                2 x 4, a group for each row along b; {'b':(2)2} is that part of b whose steps are
                2 wide, of which there are 2, b being read as [2 (before), 2 (it), the rest]
(4) pairs:      {{0,1},{1,0}} of a permutation: from, to

Numbers are places in `mesh.devices.flat`, in whose order its axes count them.
"""

import math
import re
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

Groups: TypeAlias = list[list[int]]

_LISTS = re.compile(r'replica_groups=\{((?:\{[\d,]*\},?)*)\}')
_IOTA = re.compile(r'replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?')
_MESH = re.compile(
    r'replica_groups=@?\w*mesh\[([^\]]*)\](?:, ?device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))?'
    r'\s*\{([^}]*)\}'
)
_MESH_AXIS = re.compile(r"'?([\w.]+)'?=(\d+)")
_GROUP_AXIS = re.compile(r"'([\w.]+)'(?::\((\d+)\)(\d+))?")
_PAIRS = re.compile(r'source_target_pairs=\{((?:\{\d+,\d+\},?)*)\}')


def read_groups(text: str, num_devices: int) -> Groups:
    """The groups of an instruction's attributes; raises ValueError for a form not known."""
    if lists := _LISTS.search(text):
        groups = [_numbers(one) for one in re.findall(r'\{([\d,]*)\}', lists[1])]
        return [group for group in groups if group] or [list(range(num_devices))]
    if iota := _IOTA.search(text):
        rows = _iota(iota[2], iota[3]).reshape(_numbers(iota[1]))
        return rows.reshape(-1, rows.shape[-1]).tolist()
    if mesh := _MESH.search(text):
        return _along(*mesh.groups())
    if 'replica_groups' in text:
        raise ValueError(f'groups in a form that is not known: {text}')
    return [list(range(num_devices))]


def read_pairs(text: str) -> Groups:
    """From and to, of a permutation's attributes; raises ValueError where there are none."""
    pairs = _PAIRS.search(text)
    if pairs is None:
        raise ValueError(f'a permutation without pairs: {text}')
    return [_numbers(one) for one in re.findall(r'\{([\d,]+)\}', pairs[1])]


def axes_of(groups: Groups, mesh_shape: Mapping[str, int]) -> tuple[str, ...] | None:
    """The mesh axes that groups are rows, planes ... of; None where they are not.

    `mesh_shape` has all axes of the mesh in their order.
    """
    axes = crossed_by(groups, mesh_shape)
    rows = all(len(group) == math.prod(mesh_shape[axis] for axis in axes) for group in groups)
    return axes if rows else None


def crossed_by(groups: Groups, mesh_shape: Mapping[str, int]) -> tuple[str, ...]:
    """The mesh axes along which devices of the same group differ."""
    differ = np.zeros(len(mesh_shape), bool)
    for group in groups:
        places = np.stack(np.unravel_index(group, tuple(mesh_shape.values())))  # [axis, device]
        differ |= (places != places[:, :1]).any(axis=1)
    return tuple(axis for axis, is_crossed in zip(mesh_shape, differ, strict=True) if is_crossed)


def _along(axes: str, ids_shape: str | None, ids_order: str | None, group_axes: str) -> Groups:
    """Form (3)."""
    sizes: list[tuple[str, int]] = [(name, int(size)) for name, size in _MESH_AXIS.findall(axes)]
    wanted = {name: (before, size) for name, before, size in _GROUP_AXIS.findall(group_axes)}
    shape: list[int] = []
    along: list[int] = []
    for name, size in sizes:
        parts = [size]
        if name in wanted and wanted[name][0]:
            before, here = map(int, wanted[name])
            parts = [before, here, size // (before * here)]
            along.append(len(shape) + 1)
        elif name in wanted:
            along.append(len(shape))
        shape += parts
    ids = _iota(ids_shape or str(math.prod(shape)), ids_order).reshape(shape)
    ids = np.moveaxis(ids, along, range(-len(along), 0))
    return ids.reshape(-1, math.prod(shape[axis] for axis in along)).tolist()


def _iota(shape: str, order: str | None) -> np.ndarray:
    sizes = _numbers(shape)
    ids = np.arange(math.prod(sizes)).reshape(sizes)
    return (ids.transpose(_numbers(order)) if order else ids).reshape(-1)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(',') if number]
