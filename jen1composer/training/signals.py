"""Signals that a running loop notes and looks at between two steps."""

import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context that notes `numbers` instead of dying of them.

    With `once`, a second one of the same number does what it did before.
    """

    def __init__(self, numbers: Sequence[int] = STOPPING, *, once: bool = True):
        self.received = 0  # the largest number that came
        self._numbers, self._once = numbers, once
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> 'Signals':
        for number in self._numbers:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = max(self.received, number)
        if self._once:
            signal.signal(number, self._previous[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
