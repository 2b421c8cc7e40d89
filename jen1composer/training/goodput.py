"""Goodput: the share of wall time that went into steps that count, across all restarts of a run.

WORKDIR/goodput.jsonl only ever grows. A session, one start of the command, writes

    {"begun": step, "time": t}                              once, t in seconds of Unix time
    {"step": step, "time": t, "compile": s, "save": s, ...} from time to time

where a row accounts for the seconds since the row before. From all of them

(1) total    = last time - first time
(2) between  = sum over restarts of (time begun - last time before)
(3) step     = elapsed in a row - what the row names
(4) repeated = the part of (3) in steps beyond the one that a later session began at
(5) goodput  = (sum of (3) - (4)) / total

What a killed session did after its last row is in (2), as nobody was left to tell. Every second of
the total is in exactly one kind.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from jen1composer.training.files import Lines

NAMED = ('start', 'compile', 'data_wait', 'save', 'evaluate')
KINDS = ('step', *NAMED, 'repeated', 'between')


class Goodput:
    """The account of one session, on top of those in `path`; without a path, of it alone."""

    def __init__(self, path: epath.PathLike | None, *, first_step: int, began: float | None = None):
        """`began` is when the session did, Unix time; what is since then is its start."""
        self._lines = None if path is None else Lines(path)
        now = time.time()
        begun = {'begun': first_step, 'time': now if began is None else began}
        self._step, self._time = first_step, begun['time']
        self._pending = dict.fromkeys(NAMED, 0.0) | {'start': now - begun['time']}
        earlier = [] if path is None else read_rows(path)
        self.spent = account([*earlier, begun])
        self._append(begun)

    @contextlib.contextmanager
    def spend(self, kind: str) -> Iterator[None]:
        """Accounts the time within as `kind`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(kind, time.monotonic() - began)

    def add(self, kind: str, seconds: float) -> None:
        """Accounts `seconds` as `kind`, one of `NAMED`."""
        self._pending[kind] += seconds

    def row(self, step: int) -> Mapping[str, float]:
        """Writes what was since the row before; returns it as seconds by kind, 'step' too."""
        now = time.time()
        row = {'step': step, 'time': now, **{k: round(s, 6) for k, s in self._pending.items() if s}}
        self._append(row)
        spent = _row_seconds(row, self._time)
        for kind, seconds in spent.items():
            self.spent[kind] += seconds
        self._step, self._time = step, now
        self._pending = dict.fromkeys(NAMED, 0.0)
        return spent

    @property
    def goodput(self) -> float:
        """(5), as far as rows go."""
        return self.spent['step'] / max(sum(self.spent.values()), 1e-9)

    def values(self) -> Mapping[str, float]:
        """What a row of metrics says of it: nothing where it is of this session alone."""
        return {} if self._lines is None else {'goodput': round(self.goodput, 4)}

    def line(self) -> str:
        """All of it in one line."""
        total = max(sum(self.spent.values()), 1e-9)
        shares = ', '.join(f'{kind} {self.spent[kind] / total:.1%}' for kind in KINDS)
        return f'goodput {self.goodput:.1%} of {total:.0f} s: {shares}'

    def _append(self, row: Mapping[str, Any]) -> None:
        if self._lines is not None:
            self._lines.add(json.dumps(row))


def account(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds by kind, `KINDS`, of the rows of all sessions in order."""
    spent = dict.fromkeys(KINDS, 0.0)
    # What of each session's steps counts: none beyond a step that a later session began at.
    counts, upper = [0.0] * len(rows), float('inf')
    for i in reversed(range(len(rows))):
        counts[i] = upper
        upper = min(upper, rows[i].get('begun', upper))
    at, before = 0, None
    for row, limit in zip(rows, counts, strict=True):
        if 'begun' in row:
            if before is not None:
                spent['between'] += max(0.0, row['time'] - before)
            at = row['begun']
        elif before is not None:
            seconds = _row_seconds(row, before)
            done = row['step'] - at
            lost = max(0.0, row['step'] - max(limit, at)) / done if done else row['step'] > limit
            spent['repeated'] += lost * seconds['step']
            seconds['step'] *= 1 - lost
            for kind, value in seconds.items():
                spent[kind] += value
            at = row['step']
        before = row['time'] if before is None else max(before, row['time'])
    return spent


def read_rows(path: epath.PathLike) -> list[dict[str, Any]]:
    """The rows of a record, none where there is no file; torn ones, of a kill, are left out."""
    path, rows = epath.Path(path), []
    for line in path.read_text().split('\n') if path.exists() else ():
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict) and 'time' in row]


def _row_seconds(row: Mapping[str, Any], before: float) -> dict[str, float]:
    """(3) and what the row names; of clocks that disagree, at most what elapsed."""
    elapsed = max(0.0, row['time'] - before)
    named = {kind: row.get(kind, 0.0) for kind in NAMED}
    total = sum(named.values())
    if total > elapsed:
        named = {kind: seconds * elapsed / total for kind, seconds in named.items()}
    return {'step': max(0.0, elapsed - total), **named}
