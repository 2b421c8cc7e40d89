"""Tracks, the three roles a track can have in a task, and the words that name a task.

A *task* gives every track of an example one role:

    TARGET      generated: its diffusion time is t in (0, 1], shared by all targets of the example;
    CONDITION   given: its time is 0, it is clean and comes back untouched;
    MARGINAL    marginalised: its time is 1, it is pure noise and tells nothing.

A task has at least one target. Its *prefix* is a short text that names the targets, such as
`[bass & drums generation]`, put before the prompt (JEN-1 Composer, section on task tokens); the
*task id* is the same set as a bit mask and indexes the table of encoded prefixes.
"""

import enum
from collections.abc import Iterable, Sequence

from jen1composer.errors import BadInput

TRACKS = ('bass', 'drums', 'instrument', 'melody')
SAMPLE_RATE = 48_000  # of all sound here, two channels


class Role(enum.IntEnum):
    """What a track is in a task; the values are stored in `Batch.roles`."""

    TARGET = 0
    CONDITION = 1
    MARGINAL = 2


def parse_tracks(flag: str, names: Iterable[str], tracks: Sequence[str]) -> tuple[str, ...]:
    """Returns `names` in the order of `tracks`; refuses an unknown one, naming `flag`."""
    wanted = [name.strip() for name in names if name.strip()]
    for name in wanted:
        if name not in tracks:
            raise BadInput(f'{flag}: unknown track {name!r}; allowed are {", ".join(tracks)}')
    return tuple(track for track in tracks if track in wanted)


def task_id(roles: Sequence[int]) -> int:
    """The set of targets as a bit mask: bit k is set where track k is a TARGET; 1 .. 2^K - 1."""
    return sum(1 << k for k, role in enumerate(roles) if role == Role.TARGET)


def task_prefix(tracks: Sequence[str], task: int) -> str:
    """The prefix of a task id, for example `[bass & drums generation]`.

    Raises BadInput for an id outside 1 .. 2^K - 1.
    """
    if not 1 <= task < 1 << len(tracks):
        raise BadInput(f'task id: {task}; allowed is 1 to {(1 << len(tracks)) - 1}')
    names = [name for k, name in enumerate(tracks) if task >> k & 1]
    return f'[{" & ".join(names)} generation]'
