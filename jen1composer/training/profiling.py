"""Profiles of a few steps, by config or on SIGUSR1, as `jax.profiler` writes them.

They are opened with TensorBoard's profile plugin, XProf or Perfetto. A run compiles in its first
step and warms up in its second, so a window begins at

(1) max(step that was asked for, first step of this start + 2)
"""

import signal
from typing import Any

import jax
from etils import epath

from jen1composer.training.signals import Signals

WARM_UP = 2  # steps
ON_SIGNAL = 5  # steps, where the config does not say how many


class Profile:
    """A context that is told of each step before it begins, and profiles a window of them."""

    def __init__(
        self, folder: epath.PathLike | None, first: int = 0, steps: int = 0, *, begun: int
    ):
        """Profiles `steps` steps from `first` on into `folder`, and as many at each SIGUSR1.

        `begun` is the first step that this process takes, see (1). Without a folder it does
        nothing.
        """
        self._folder, self._steps = folder, steps
        self._warm = begun + WARM_UP
        self._first = max(first, self._warm)
        self._until: int | None = None  # the step before which a window ends
        self._signals = Signals(() if folder is None else (signal.SIGUSR1,))

    def __enter__(self) -> 'Profile':
        self._signals.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._signals.__exit__(*error)
        self._stop()

    def before(self, number: int, state: Any) -> None:
        """Step `number` is about to be dispatched on `state`."""
        if self._until == number:
            jax.block_until_ready(state)  # the window's steps, to their end
            self._stop()
        asked = self._signals.received > 0 and number >= self._warm
        planned = self._steps > 0 and number == self._first
        if self._folder is not None and self._until is None and (asked or planned):
            self._signals.received = 0
            self._until = number + (self._steps or ON_SIGNAL)
            jax.block_until_ready(state)  # those before do not belong to it
            jax.profiler.start_trace(str(self._folder))

    def _stop(self) -> None:
        if self._until is not None:
            self._until = None
            jax.profiler.stop_trace()


NO_PROFILE = Profile(None, begun=0)
