"""Signals that a running loop notes and looks at between two steps."""

import signal
from collections.abc import Sequence
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """A context that notes `numbers` instead of dying of them.

    A second SIGINT does what it did before, for who is in a hurry. Others are noted as often as
    they come: a cluster that repeats SIGTERM means the same by it, and what is being saved is to be
    saved. A context inside another one of the same number knows what came before it was entered.
    """

    def __init__(self, numbers: Sequence[int] = STOPPING):
        self.received = 0  # the largest number that came
        self._numbers = numbers
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> 'Signals':
        for number in self._numbers:
            self._previous[number] = signal.signal(number, self._note)
            outer = getattr(self._previous[number], '__self__', None)
            if isinstance(outer, Signals) and outer.received == number:
                self.received = max(self.received, number)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.received = max(self.received, number)
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
