"""The kind of a task: which frames of its targets are shown, and whether it is causal.

For example i, of n frames, whatever the roles of its tracks:

(1) kind     text, inpainting or continuation, in the proportions `shares`
(2) causal   text with probability p_causal, inpainting never, continuation always
(3) hidden   text: all of every target
             inpainting: m frames of each target from frame s on
             continuation: the last m frames of each target
             with m any whole number from min_span n to max_span n but 0 and n, all alike,
             and s any of 0 .. n - m, all alike
(4) m and s  are the same in all targets with probability shared_span, else drawn for each alone

so  P(kind, causal) = P(kind) x P(causal | kind).

The three kinds, their modes and spans of 20 to 80 % are those of JEN-1 (arXiv 2308.04729), which
takes a third of each; spans of single tracks, and that text comes in both modes, are ours.
"""

import dataclasses
import enum
import fractions
import functools
import math

import numpy as np

from data_pipeline.shares import are_shares, is_number, pick, weights
from data_pipeline.streams import stream
from jen1composer.errors import BadInput, require


class Kind(enum.StrEnum):
    """What a task shows of its targets; in the order of `Kinds.shares`."""

    TEXT = 'text'
    INPAINTING = 'inpainting'
    CONTINUATION = 'continuation'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kinds:
    """How often each kind is asked for, and how much it hides; text alone unless told otherwise."""

    shares: tuple[float, ...] = (1.0, 0.0, 0.0)  # in the order of `Kind`, to any sum
    p_causal: float = 0.0  # of text
    shared_span: float = 0.5
    min_span: float = 0.2  # of a window
    max_span: float = 0.8

    def __post_init__(self) -> None:
        require(
            are_shares(self.shares, len(Kind)),
            'curriculum.kinds',
            self.shares,
            f'are shares of {", ".join(Kind)} that are 0 or more and not all 0, such as (1, 1, 1)',
        )
        for name in ('p_causal', 'shared_span', 'min_span', 'max_span'):
            value = getattr(self, name)
            require(is_number(value) and 0 <= value <= 1, f'curriculum.{name}', value, 'is 0 to 1')
        require(
            self.min_span <= self.max_span,
            'curriculum.min_span',
            self.min_span,
            f'is up to max_span, {self.max_span}',
        )

    def share(self, kind: Kind) -> float:
        """P(kind), equation (1)."""
        return float(weights(self.shares)[list(Kind).index(kind)])

    def probability(self, kind: Kind, causal: bool) -> float:
        """P(kind, causal), equations (1) and (2)."""
        p_causal = self._p_causal(kind)
        return self.share(kind) * (p_causal if causal else 1 - p_causal)

    @property
    def any_causal(self) -> bool:
        """Whether causal tasks are drawn at all."""
        return any(self.probability(kind, causal=True) > 0 for kind in Kind)

    def only(self, kind: Kind, p_causal: float = 0.0) -> 'Kinds':
        """The same spans in tasks of one kind; `p_causal` is that of text."""
        shares = tuple(float(other == kind) for other in Kind)
        return dataclasses.replace(self, shares=shares, p_causal=p_causal)

    @functools.lru_cache(16)  # noqa: B019  # for as long as a few Kinds live
    def hidden_lengths(self, num_frames: int) -> range:
        """All m of equation (3); raises BadInput where there is none in `num_frames`."""
        # In the decimals that were written: .28 x 25 is 7, though in binary it is a little more.
        low, high = (
            fractions.Fraction(str(s)) * num_frames for s in (self.min_span, self.max_span)
        )
        lengths = range(max(1, math.ceil(low)), min(num_frames - 1, math.floor(high)) + 1)
        if not lengths:
            raise BadInput(
                f'window_frames: {num_frames}; allowed are windows that can be hidden in part, by '
                f'{self.min_span} to {self.max_span} (curriculum.min_span and max_span)'
            )
        return lengths

    def check(self, num_frames: int) -> None:
        """Raises BadInput where a kind that may be drawn has no room in windows so long."""
        if self.share(Kind.TEXT) < 1:
            self.hidden_lengths(num_frames)

    def draw(self, seed: int, index: int) -> tuple[Kind, bool]:
        """The kind of example `index`, and whether it is causal."""
        u_kind, u_causal = stream(seed, index, 'kind').random(2)
        kind = list(Kind)[pick(weights(self.shares), u_kind)]  # (1)
        return kind, bool(u_causal < self._p_causal(kind))  # (2)

    def visible(
        self, kind: Kind, is_target: np.ndarray, num_frames: int, *, seed: int, index: int
    ) -> np.ndarray:
        """What example `index` shows, bool `[track, frame]`; `is_target` is `[track]`.

        Raises BadInput where a window of `num_frames` cannot be hidden in part.
        """
        tracks = len(is_target)
        if kind == Kind.TEXT:
            return np.zeros((tracks, num_frames), bool)
        lengths = self.hidden_lengths(num_frames)
        u_shared, *u = stream(seed, index, 'span').random(1 + 2 * tracks).tolist()
        visible = np.repeat(is_target[:, None], num_frames, axis=1)
        for track in range(tracks):
            place = 0 if u_shared < self.shared_span else track  # (4)
            length = lengths.start + int(u[place] * len(lengths))  # (3)
            start = num_frames - length
            if kind == Kind.INPAINTING:
                start = int(u[tracks + place] * (start + 1))
            visible[track, start : start + length] = False
        return visible

    def _p_causal(self, kind: Kind) -> float:
        return {Kind.TEXT: self.p_causal, Kind.INPAINTING: 0.0, Kind.CONTINUATION: 1.0}[kind]
