"""What the devices of a mesh send each other in a compiled program, read from its HLO text.

With n devices in a group and b bytes, a device sends, in the ring algorithms that reach the least,

(1) all-gather                 (n - 1) / n x b         b of the result
(2) reduce-scatter             (n - 1) / n x b         b of what is reduced
(3) all-reduce               2 (n - 1) / n x b         (2), and then (1)
(4) all-to-all                 (n - 1) / n x b         b of either side
(5) collective-permute                       b         b of either side

and receives as much. An instruction counts as often as it runs: once for each call of the
computation it stands in, times the trips of the loops round it where XLA has written how many
they are. Where it has not the count is one trip, and the collective says that it is a least.
A branch counts as taken.

XLA's shapes are what is read, so padding to tiles, which the hardware may add, is not in b. What
is split into a start and a done is one instruction, its start. On TPUs a reduce-scatter may stand
as an all-reduce and a slice of it, fused under a name that says so: it is (2).
"""

import collections
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from jen1composer.sharding.device_groups import axes_of, pairs_of, read_groups

KINDS = ('all-gather', 'reduce-scatter', 'all-reduce', 'all-to-all', 'collective-permute')

# Bits of the element types of HLO; a token and a state have none.
BITS = {'pred': 8, 's2': 2, 'u2': 2, 's4': 4, 'u4': 4, 'bf16': 16, 'c64': 64, 'c128': 128}

_HEADER = re.compile(r'^(ENTRY )?%?([\w.-]+) (?:\(.*\) -> .*)?\{$')
_OP = re.compile(rf'^\s+(?:ROOT )?%?[\w.-]+ = (.*?) ({"|".join(KINDS)})(-start)?\((.*)$')
_CALLED = re.compile(
    r'(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.-]+)'
)
_LISTED = re.compile(r'(?:branch_computations|called_computations)=\{([^}]*)\}')
_TRIPS = re.compile(r'"?known_trip_count"?:\s*\{"?n"?:\s*"?(\d+)')
_SHAPE = re.compile(r'\b([a-z]\w*)\[([\d,]*)\]')
_FUSED_REDUCE_SCATTER = 'all-reduce-scatter'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Collective:
    """One instruction.

    Attributes:
        kind: one of KINDS.
        sent: bytes that a device sends each time, (1) to (5).
        group: devices that take part together.
        axes: the mesh axes that a group runs over; None where groups are not rows of the mesh.
        times: how often a step runs it.
        at_least: it stands in a loop of unknown length, counted as one trip.
    """

    kind: str
    sent: float
    group: int
    axes: tuple[str, ...] | None
    times: int = 1
    at_least: bool = False

    @property
    def bytes_sent(self) -> float:
        """By a device in a step."""
        return self.sent * self.times


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traffic:
    """Collectives of one kind over one group of axes, together."""

    kind: str
    axes: tuple[str, ...] | None
    group: int
    count: int  # how often they run
    bytes_sent: float  # by a device in a step
    at_least: bool


def read_collectives(hlo: str, mesh_shape: Mapping[str, int]) -> list[Collective]:
    """The collectives of a module in the text form that `compiled.as_text()` gives.

    `mesh_shape` is `mesh.shape` of the mesh that it was compiled for: devices are numbered as in
    `mesh.devices.flat`. Groups of a single device send nothing and are left out.
    """
    computations, entry = _computations(hlo)
    holding = _holding(computations)
    num_devices = math.prod(mesh_shape.values())

    def visit(name: str, times: int, at_least: bool) -> Iterator[Collective]:
        for line in computations[name]:
            found = _collective(line, name, mesh_shape, num_devices)
            if found is not None:
                yield dataclasses.replace(found, times=times, at_least=at_least)
                continue
            called = [callee for callee in _callees(line) if callee in holding]
            trips, known = _trips(line) if called else (1, True)
            for callee in called:
                yield from visit(callee, times * trips, at_least or not known)

    found = visit(entry, 1, False) if entry in holding else iter(())
    return [collective for collective in found if collective.sent > 0]


def traffic(found: Sequence[Collective]) -> list[Traffic]:
    """The same, added up by kind, axes and size of group, most bytes first."""
    sums: dict[tuple[str, tuple[str, ...] | None, int], list[Collective]]
    sums = collections.defaultdict(list)
    for one in found:
        sums[one.kind, one.axes, one.group].append(one)
    rows = [
        Traffic(
            kind=kind,
            axes=axes,
            group=group,
            count=sum(one.times for one in ones),
            bytes_sent=sum(one.bytes_sent for one in ones),
            at_least=any(one.at_least for one in ones),
        )
        for (kind, axes, group), ones in sums.items()
    ]
    return sorted(rows, key=lambda row: -row.bytes_sent)


def shape_bytes(text: str) -> float:
    """Bytes of all arrays in a type as HLO writes it, such as '(f32[2,3]{1,0}, bf16[])'."""
    return sum(
        math.prod(int(size) for size in sizes.split(',') if size) * _bits(dtype) / 8
        for dtype, sizes in _SHAPE.findall(text)
    )


def _bits(dtype: str) -> int:
    if dtype in BITS:
        return BITS[dtype]
    number = re.match(r'[a-z]+(\d+)', dtype)  # f32, s8, and f8e4m3fn
    return int(number[1]) if number else 0


def _computations(hlo: str) -> tuple[dict[str, list[str]], str]:
    """The lines of each computation, by its name, and the name of the one that is run."""
    found: dict[str, list[str]] = {}
    entry, lines = '', []
    for line in hlo.splitlines():
        header = _HEADER.match(line)
        if header:
            lines = found[header[2]] = []
            entry = header[2] if header[1] else entry
        elif ' = ' in line:
            lines.append(line)
    return found, entry


def _holding(computations: Mapping[str, Sequence[str]]) -> set[str]:
    """The computations that run a collective, themselves or by what they call."""
    callers = collections.defaultdict(set)
    for name, lines in computations.items():
        for line in lines:
            for callee in _callees(line):
                callers[callee].add(name)
    todo = [name for name, lines in computations.items() if any(map(_OP.match, lines))]
    found = set(todo)
    while todo:
        fresh = callers[todo.pop()] - found
        found |= fresh
        todo += fresh
    return found


def _callees(line: str) -> list[str]:
    listed = [name for names in _LISTED.findall(line) for name in re.findall(r'[\w.-]+', names)]
    return _CALLED.findall(line) + listed


def _trips(line: str) -> tuple[int, bool]:
    """How often what `line` calls is run, and whether that is known."""
    if ' while(' not in line:
        return 1, True
    written = _TRIPS.search(line)
    return (int(written[1]), True) if written else (1, False)


def _collective(
    line: str, computation: str, mesh_shape: Mapping[str, int], num_devices: int
) -> Collective | None:
    match = _OP.match(line)
    if match is None:
        return None
    result, kind, start, rest = match.groups()
    if kind == 'collective-permute':
        groups = pairs_of(rest)
        size = 2 if any(a != b for a, b in groups) else 1
    else:
        groups = read_groups(rest, num_devices)
        size = max(map(len, groups))
    num_bytes = shape_bytes(_started(result) if start and kind != 'all-reduce' else result)
    if kind == 'reduce-scatter':
        num_bytes *= size
    if kind == 'all-reduce' and computation.startswith(_FUSED_REDUCE_SCATTER):
        kind = 'reduce-scatter'
    return Collective(
        kind=kind,
        sent=sent(kind, size) * num_bytes,
        group=size,
        axes=axes_of(groups, mesh_shape),
    )


def sent(kind: str, group: int) -> float:
    """What a device sends, in bytes for each byte of (1) to (5)."""
    if group == 1:
        return 0.0
    if kind == 'collective-permute':
        return 1.0
    return (2.0 if kind == 'all-reduce' else 1.0) * (group - 1) / group


def _started(result: str) -> str:
    """The result's part of what a start gives: '(operand, result, ...)'."""
    depth, parts, begin = 0, [], 1
    for place, letter in enumerate(result):
        if letter in ',)' and depth == 1:
            parts.append(result[begin:place])
            begin = place + 1
        depth += letter in '({['
        depth -= letter in ')}]'
    return parts[1]
