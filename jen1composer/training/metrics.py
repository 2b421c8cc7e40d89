"""Metrics as JSON lines, one object a row, append-only but for what a resume takes back.

A run that resumes at step k has lost the rows after k; they are cut off first, so that the file
always reads as one uninterrupted run.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, Protocol

from etils import epath

from jen1composer.training.files import Lines


class Writer(Protocol):
    """Takes rows of metrics."""

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Takes one row; `step` counts the steps done."""


class MetricsFile:
    """Writes rows `{"step": ..., name: value, ...}` to a file and reads them back."""

    def __init__(self, path: epath.PathLike, *, first_step: int = 0):
        """Opens `path` for appending and drops its rows of steps beyond `first_step`."""
        # A run begins with its rows of step 0; only one that goes on has rows to keep.
        rows = read_metrics(path) if first_step > 0 else []
        kept = [row for row in rows if row['step'] <= first_step]
        lines = ''.join(json.dumps(row) + '\n' for row in kept)
        self._lines = Lines(path, lines)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds one row, which is there when this returns; `step` counts the steps done."""
        row = {'step': step} | {name: _plain(value) for name, value in values.items()}
        self._lines.add(json.dumps(row))


def read_metrics(path: epath.PathLike) -> list[dict[str, Any]]:
    """The rows of a metrics file; none if there is no file. A torn last row is left out."""
    path = epath.Path(path)
    if not path.exists():
        return []
    lines = path.read_text().split('\n')
    return [json.loads(line) for line in lines[:-1] if line]  # a whole row ends in a newline


def _plain(value: Any) -> Any:
    """A JSON value; non-finite floats become their names, since JSON has none of them."""
    if isinstance(value, str | int | list | dict | None):
        return value
    number = float(value)
    return number if math.isfinite(number) else str(number)
