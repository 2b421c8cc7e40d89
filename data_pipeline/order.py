"""Which examples belong to which step, on which host, as a run goes on.

The batch may change where a run is resumed. Segment k begins with step s_k and example i_k, and has
batches of B_k; its step s takes the examples

(1) i_k + (s - s_k) B_k  ..  i_k + (s - s_k + 1) B_k - 1

(2) i_(k+1) = i_k + (s_(k+1) - s_k) B_k, so no example is left out and none comes twice.
(3) Host h of H takes the examples h B_k / H .. (h + 1) B_k / H - 1 of each step.

So the position is the step alone, once the segments are known, and the number of hosts may change
between runs. The segments are kept in the checkpoint.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from jen1composer.errors import BadInput, require

MAX_INDEX = 2**32  # an example index is keyed as uint32


class Segment(NamedTuple):
    """A stretch of steps of one batch."""

    first_step: int
    batch: int  # over all hosts
    first_index: int

    def index_at(self, step: int) -> int:
        """The first example of `step`, equation (1)."""
        return self.first_index + (step - self.first_step) * self.batch


Segments = tuple[Segment, ...]


def begun(batch: int) -> Segments:
    """The segments of a run that begins."""
    return (Segment(0, batch, 0),)


def resumed(segments: Segments, step: int, batch: int) -> Segments:
    """The segments of a run that goes on at `step` with `batch`, equation (2)."""
    kept = tuple(segment for segment in segments if segment.first_step <= step)
    last = kept[-1]
    if last.batch == batch:
        return kept
    if last.first_step == step:
        kept = kept[:-1]
    return (*kept, Segment(step, batch, last.index_at(step)))


def read_segments(value: Sequence[Sequence[int]]) -> Segments:
    """The segments as a checkpoint has them."""
    return tuple(Segment(*segment) for segment in value)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """Which examples there are, and which of them this host reads."""

    seed: int
    segments: Segments
    total_steps: int
    host: int = 0
    hosts: int = 1

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, 'seed', self.seed, f'are 0 to {2**31 - 1}')
        batch = self.segments[-1].batch
        require(batch >= 1, 'batch', batch, 'is 1 or more')
        if batch % self.hosts:
            raise BadInput(f'batch: {batch}; allowed are multiples of {self.hosts} hosts')
        if self.first_index(self.total_steps) > MAX_INDEX:
            raise BadInput(
                f'total_steps: {self.total_steps} of batch {batch}; '
                f'allowed are {MAX_INDEX} examples'
            )

    def first_index(self, step: int) -> int:
        """The first example of `step` among all, on any host."""
        return self.segment(step).index_at(step)

    def step_of(self, index: int) -> int:
        """The step that example `index` belongs to, equation (1) the other way round."""
        segment = next(s for s in reversed(self.segments) if s.first_index <= index)
        return segment.first_step + (index - segment.first_index) // segment.batch

    def indices(self, step: int) -> range:
        """The examples of `step` that this host reads, equation (3)."""
        segment = self.segment(step)
        share = segment.batch // self.hosts
        begin = segment.index_at(step) + self.host * share
        return range(begin, begin + share)

    def to_json(self) -> Any:
        """What `read_segments` reads."""
        return [list(segment) for segment in self.segments]

    def segment(self, step: int) -> Segment:
        """The segment that `step` is in."""
        return next(s for s in reversed(self.segments) if s.first_step <= step)
