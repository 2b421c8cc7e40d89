"""A compiled program as text: its computations, which calls which, and how often a loop runs.

What `compiled.as_text()` gives is a list of computations, each of one instruction a line,

    %name = type operation(%operand, ...), attribute=value, ...

of which one is the entry and the others are called by attributes: calls, to_apply, body and
condition of a loop, branches. How often a loop runs is

(1) n where XLA wrote it down:  known_trip_count={n},
(2) n - s where its condition is  i < n  and i begins with s, as JAX writes its scans, which go by
    one; n and s being constants.
"""

import collections
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence

_HEADER = re.compile(r'^(ENTRY )?%?([\w.-]+) .*\{$')
_NAMED = re.compile(r'^\s*(?:ROOT )?%?([\w.-]+) = ')
_CALLED = re.compile(
    r'(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.-]+)'
)
_LISTED = re.compile(r'(?:branch_computations|called_computations)=\{([^}]*)\}')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_WHILE = re.compile(r' while\(%?([\w.-]+)\), condition=%?([\w.-]+)')
_LESS_THAN = re.compile(r'ROOT .* compare\(%?([\w.-]+), %?([\w.-]+)\), direction=LT')
_ELEMENT = re.compile(r' get-tuple-element\(.*\), index=(\d+)')
_TUPLE = re.compile(r' tuple\((.*?)\)')
_COPY = re.compile(r' copy\(%?([\w.-]+)\)')
_CONSTANT = re.compile(r' constant\((\d+)\)')


@dataclasses.dataclass(frozen=True)
class Computation:
    """The lines of a computation."""

    name: str
    lines: Sequence[str]

    @functools.cached_property
    def by_name(self) -> Mapping[str, str]:
        """The line of each instruction."""
        return {match[1]: line for line in self.lines if (match := _NAMED.match(line))}

    def constant(self, name: str) -> int | None:
        """The whole number that `name` is, itself or as a copy; None if it is something else."""
        line = self.by_name.get(name, '')
        if copied := _COPY.search(line):
            return self.constant(copied[1])
        found = _CONSTANT.search(line)
        return int(found[1]) if found else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Module:
    """The computations of a program, by name, and which of them is run."""

    computations: Mapping[str, Computation]
    entry: Computation

    @classmethod
    def parse(cls, text: str) -> 'Module':
        """Raises ValueError for a text without an entry."""
        lines_of: dict[str, list[str]] = {}
        entry, lines = '', []
        for line in text.splitlines():
            header = _HEADER.match(line)
            if header:
                lines = lines_of[header[2]] = []
                entry = header[2] if header[1] else entry
            elif ' = ' in line:
                lines.append(line)
        if not entry:
            raise ValueError(f'HLO text without an ENTRY, which begins with {text[:80]!r}')
        found = {name: Computation(name, lines) for name, lines in lines_of.items()}
        return cls(computations=found, entry=found[entry])

    def called_by(self, line: str) -> list[Computation]:
        """The computations that an instruction calls."""
        if '=%' not in line and '={%' not in line:
            return []
        listed = [name for names in _LISTED.findall(line) for name in re.findall(r'[\w.-]+', names)]
        return [self.computations[name] for name in _CALLED.findall(line) + listed]

    def holding(self, wanted: Callable[[str], object]) -> set[str]:
        """The computations with a line that is wanted, their own or of what they call."""
        callers = collections.defaultdict(set)
        found = set()
        for name, computation in self.computations.items():
            for line in computation.lines:
                for called in self.called_by(line):
                    callers[called.name].add(name)
                if wanted(line):
                    found.add(name)
        todo = list(found)
        while todo:
            fresh = callers[todo.pop()] - found
            found |= fresh
            todo += fresh
        return found

    def trips(self, line: str, caller: Computation) -> int | None:
        """How often an instruction of `caller` runs what it calls, (1) or (2); None is unknown."""
        loop = _WHILE.search(line)
        if loop is None:
            return 1
        if written := _TRIPS.search(line):
            return int(written[1])
        condition = self.computations[loop[2]]
        less = next((m for one in condition.lines if (m := _LESS_THAN.search(one))), None)
        element = _ELEMENT.search(condition.by_name.get(less[1], '')) if less else None
        carried = _TUPLE.search(caller.by_name.get(loop[1], ''))
        if less is None or element is None or carried is None:
            return None
        names = re.findall(r'%([\w.-]+)', carried[1])
        first, limit = caller.constant(names[int(element[1])]), condition.constant(less[2])
        return None if first is None or limit is None else max(0, limit - first)
