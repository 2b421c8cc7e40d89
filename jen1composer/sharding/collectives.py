"""What the devices of a mesh send each other in a compiled program, read from its HLO text.

With n devices in a group and b bytes, a device sends, in the ring algorithms that reach the least,

(1) all-gather                 (n - 1) / n x b         b of the result
(2) reduce-scatter             (n - 1) / n x b         b of what is reduced
(3) all-reduce               2 (n - 1) / n x b         (2), and then (1)
(4) all-to-all                 (n - 1) / n x b         b of either side
(5) collective-permute                       b         b of either side

and receives as much. An instruction counts as often as it runs: once for each call of the
computation that it stands in, times the trips of the loops round it (`hlo`). Where their number is
not known one trip is counted, and the collective says that this is a least. A branch counts as
taken.

XLA's shapes are what is read, so padding to tiles, which the hardware may add, is not in b. What
is split into a start and a done counts at its start. On TPUs

- a reduce-scatter may stand as an all-reduce and a slice of it, in a fusion named for that: (2);
- an all-gather may be spread over fusions, whose first has AsyncCollectiveStart: it counts there;
- between slices a host sends for its devices: a `send` says in its attributes what it is part of.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from jen1composer.sharding.device_groups import axes_of, crossed_by, read_groups, read_pairs
from jen1composer.sharding.hlo import Computation, Module

KINDS = ('all-gather', 'reduce-scatter', 'all-reduce', 'all-to-all', 'collective-permute')
SLICES_AXIS = 'data'  # the mesh axis that runs over slices, see `sharding.mesh`

# Bits of element types whose name does not end in them; what is neither here nor there has none.
BITS = {'pred': 8, 'bf16': 16}

_OP = re.compile(rf'^\s+(?:ROOT )?%?[\w.-]+ = (.*?) ({"|".join(KINDS)})(-start)?\((.*)$')
_SEND = re.compile(r'^\s+%?[\w.-]+ = (.*?) send\(.*_xla_megascale_transfer_type="(\w+)"')
_SHAPE = re.compile(r'\b([a-z]\w*)\[([\d,]*)\]')
_FUSED_REDUCE_SCATTER = 'all-reduce-scatter'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collective:
    """One instruction.

    Attributes:
        kind: one of KINDS.
        sent_once: bytes that a device sends each time, (1) to (5).
        group: devices that take part together; of a permutation, the two of a pair.
        axes: the mesh axes that a group runs over; None where groups are not rows of the mesh.
        between_slices: it runs over the network between TPU slices alone.
        times: how often a step runs it.
        at_least: it stands in a loop of unknown length.
    """

    kind: str
    sent_once: float
    group: int
    axes: tuple[str, ...] | None
    between_slices: bool = False
    times: int = 1
    at_least: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """Collectives of one kind over the same axes, together; see `Collective`."""

    kind: str
    axes: tuple[str, ...] | None
    group: int
    between_slices: bool
    count: int  # how often they run
    bytes_sent: float  # by a device in a step
    at_least: bool


def read_collectives(
    hlo: str, mesh_shape: Mapping[str, int], num_slices: int = 1
) -> list[Collective]:
    """The collectives of a module in the text form that `compiled.as_text()` gives.

    Args:
        hlo: the text.
        mesh_shape: `mesh.shape` of what it was compiled for; devices are numbered as in
            `mesh.devices.flat`, within their slice.
        num_slices: of TPUs.

    Groups of a single device send nothing and are left out.
    """
    module = Module.parse(hlo)
    holding = module.holding(lambda line: _OP.match(line) or _SEND.match(line))
    slices = {SLICES_AXIS: num_slices} if num_slices > 1 else {}
    inside = {axis: size // slices.get(axis, 1) for axis, size in mesh_shape.items()}

    def visit(computation: Computation, times: int, at_least: bool) -> Iterator[Collective]:
        if _goes_on(computation):
            return
        for line in computation.lines:
            found = _collective(line, computation, inside) or _between_slices(line, num_slices)
            if found is not None:
                yield dataclasses.replace(found, times=times, at_least=at_least)
                continue
            called = [callee for callee in module.called_by(line) if callee.name in holding]
            trips = module.trips(line, computation) if called else 1
            for callee in called:
                yield from visit(
                    callee, times * (1 if trips is None else trips), at_least or trips is None
                )

    found = visit(module.entry, 1, False) if module.entry.name in holding else iter(())
    return [collective for collective in found if collective.sent_once * collective.times > 0]


def traffic(found: Sequence[Collective]) -> list[Traffic]:
    """The same, added up, most bytes first."""
    alike: dict[tuple[str, tuple[str, ...] | None, int, bool], list[Collective]]
    alike = collections.defaultdict(list)
    for one in found:
        alike[one.kind, one.axes, one.group, one.between_slices].append(one)
    rows = [
        Traffic(
            kind=kind,
            axes=axes,
            group=group,
            between_slices=between_slices,
            count=sum(one.times for one in ones),
            bytes_sent=sum(one.times * one.sent_once for one in ones),
            at_least=any(one.at_least for one in ones),
        )
        for (kind, axes, group, between_slices), ones in alike.items()
    ]
    return sorted(rows, key=lambda row: -row.bytes_sent)


def sent(kind: str, group: int) -> float:
    """What a device sends in bytes for each byte b, (1) to (5)."""
    if kind == 'collective-permute':
        return float(group > 1)
    return (2.0 if kind == 'all-reduce' else 1.0) * (group - 1) / group


def shape_bytes(text: str) -> float:
    """Bytes of all arrays in a type as HLO writes it, such as '(f32[2,3]{1,0}, bf16[])'."""
    return sum(
        math.prod(int(size) for size in sizes.split(',') if size) * _bits(dtype) / 8
        for dtype, sizes in _SHAPE.findall(text)
    )


def _bits(dtype: str) -> int:
    number = re.match(r'[a-z]+(\d+)', dtype)  # f32, s8, f8e4m3fn
    return BITS.get(dtype, int(number[1]) if number else 0)


# ---- One line.


def _goes_on(computation: Computation) -> bool:
    """Whether this is a fusion that goes on with a collective begun in another."""
    text = '\n'.join(computation.lines)
    return '"async_collective_fusion_config"' in text and 'AsyncCollectiveStart' not in text


def _collective(
    line: str, computation: Computation, mesh_shape: Mapping[str, int]
) -> Collective | None:
    match = _OP.match(line)
    if match is None:
        return None
    result, kind, start, rest = match.groups()
    axes: tuple[str, ...] | None
    if kind == 'collective-permute':
        pairs = read_pairs(rest)
        group, axes = 1 + any(a != b for a, b in pairs), crossed_by(pairs, mesh_shape)
    else:
        groups = read_groups(rest, math.prod(mesh_shape.values()))
        group, axes = max(map(len, groups)), axes_of(groups, mesh_shape)
    num_bytes = shape_bytes(_parts(result)[1] if start and kind != 'all-reduce' else result)
    if kind == 'reduce-scatter':
        num_bytes *= group
    if kind == 'all-reduce' and computation.name.startswith(_FUSED_REDUCE_SCATTER):
        kind = 'reduce-scatter'
    return Collective(kind=kind, sent_once=sent(kind, group) * num_bytes, group=group, axes=axes)


def _between_slices(line: str, num_slices: int) -> Collective | None:
    match = _SEND.match(line)
    if match is None:
        return None
    kind = match[2].lower().replace('_', '-')
    kind = kind if kind in KINDS else 'collective-permute'
    return Collective(
        kind=kind,
        sent_once=sent(kind, num_slices) * shape_bytes(_parts(match[1])[0]),
        group=num_slices,
        axes=(SLICES_AXIS,),
        between_slices=True,
    )


def _parts(tuple_type: str) -> list[str]:
    """The types in a tuple: of a start, what comes in, the result, and more."""
    depth, parts, begin = 0, [], 1
    for place, letter in enumerate(tuple_type):
        if depth == 1 and letter in ',)':
            parts.append(tuple_type[begin:place])
            begin = place + 1
        depth += letter in '({['
        depth -= letter in ')}]'
    return parts
