"""Batches on the devices, one ahead: the next one is placed while a step runs.

What is ahead belongs to no checkpoint: the position in the data is the step alone, and a batch that
was placed and not used is read again by the run that goes on.
"""

from collections.abc import Callable, Iterator
from typing import Any


class Prefetch:
    """Takes `batches` through `place`, in their order."""

    def __init__(self, batches: Iterator[Any], place: Callable[[Any], Any]):
        self._batches, self._place = batches, place
        self._ahead: list[Any] = []

    def place_next(self) -> None:
        """Reads one batch more and begins to place it."""
        self._ahead.append(self._place(next(self._batches)))

    def take(self) -> Any:
        """The next batch; raises StopIteration where there is none."""
        if not self._ahead:
            self.place_next()
        return self._ahead.pop(0)


def repeated(batches: Iterator[Any]) -> Iterator[Any]:
    """The first of `batches` again and again: steps are timed without a loader."""
    first = next(batches)
    while True:
        yield first
