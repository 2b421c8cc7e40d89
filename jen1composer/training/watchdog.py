"""When steps end, and the stacks of all threads where none does.

Steps are dispatched and run on their own, so the loop does not know when one ended. A thread that
waits for their metrics does: from it is told whether the devices had nothing to do while a batch
was waited for, and a timer in C (`faulthandler`) is wound up again, which writes where every thread
stands even if Python itself hangs. It kills nothing. Compiling or evaluating for longer than the
timer is written down as well.
"""

import faulthandler
import queue
import sys
import threading
import time
from typing import Any, TextIO

import jax
from etils import epath


class StepEnds:
    """A context in which `started` is told the metrics of each step that was dispatched."""

    def __init__(self, stacks: epath.Path | None = None, after_s: float = 0.0):
        """Where no step ends within `after_s` seconds, 0 for never, stacks go to the file `stacks`.

        Without a file they go to stderr: what a timer in C writes to is on this machine.
        """
        self._stacks, self._after_s = stacks, after_s
        self._file: TextIO | None = None
        self._running: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._wait, name='step ends', daemon=True)
        self._started, self._ended, self._ended_at = 0, 0, -float('inf')

    def __enter__(self) -> 'StepEnds':
        if self._after_s > 0:
            self._file = sys.__stderr__ if self._stacks is None else self._stacks.open('a')
        self._wind_up()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.put(None)
        self._thread.join()
        if self._file is not None:
            faulthandler.cancel_dump_traceback_later()
            if self._stacks is not None:
                self._file.close()

    def started(self, metrics: Any) -> None:
        """A step was dispatched that will give `metrics`."""
        self._started += 1
        self._running.put(metrics)

    def now(self) -> float:
        """The clock that `idle_s` goes by."""
        return time.monotonic()

    def idle_s(self, since: float) -> float:
        """Seconds since `since`, of `now`, in which no step ran."""
        if self._ended < self._started:
            return 0.0
        return max(0.0, time.monotonic() - max(since, self._ended_at))

    def _wait(self) -> None:
        while (metrics := self._running.get()) is not None:
            try:
                jax.block_until_ready(metrics)
            except Exception:  # The loop meets the same error where it reads them.
                return
            self._ended_at = time.monotonic()
            self._ended += 1
            self._wind_up()

    def _wind_up(self) -> None:
        if self._file is not None:
            faulthandler.dump_traceback_later(self._after_s, repeat=True, file=self._file)
