"""The tasks of a training, drawn again without it, beside what was set.

(1) which      of the E examples of all steps N are drawn: the i-th is of the step of example
               (2 i + 1) E // 2 N, and of its batch of B the one in slot (i - j) mod B, where j is
               the first example of batches of B; so that steps and slots are covered evenly, and
               N = E is every example once
(2) deviation  of x_1 .. x_n, with means m_i and variances v_i as set, in standard errors:
               z = sum (x_i - m_i) / sqrt(sum v_i)
(3) spans      a target that is shown in part hides m of n frames. Over all lengths m / n has mean c
               and variance v; over the k targets of an example the mean of m / n has mean c too,
               and variance q v + (1 - q) v / k, where all share a span with probability q
"""

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np

from data_pipeline.curriculum import Curriculum
from data_pipeline.kinds import Kind
from data_pipeline.order import Order
from jen1composer.errors import require
from jen1composer.tracks import Role

IMPOSSIBLE = 1e6  # standard errors of what cannot be, and yet was drawn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Draws:
    """The tasks of n examples, in the order of their steps; arrays are `[example]` or as said."""

    curriculum: Curriculum
    order: Order
    index: np.ndarray
    step: np.ndarray
    slot: np.ndarray
    weights: np.ndarray  # [example, track]: those of 1, 2, .. targets at its step
    roles: np.ndarray  # [example, track]
    kind: np.ndarray  # place in `Kind`
    causal: np.ndarray

    def __len__(self) -> int:
        return len(self.step)

    @property
    def batch(self) -> int:
        """That of the last step."""
        return self.order.segments[-1].batch

    @property
    def num_steps(self) -> int:
        return self.order.total_steps

    @property
    def stage(self) -> np.ndarray:
        return np.array([self.curriculum.stage_at(int(step)) for step in self.step])

    @property
    def has_count(self) -> np.ndarray:
        """Whether an example has k targets, `[example, k - 1]`."""
        num_targets = (self.roles == Role.TARGET).sum(axis=1)
        return num_targets[:, None] == np.arange(1, self.curriculum.num_tracks + 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
    """Something that examples do: how much, and how much was set; arrays are `[example]`.

    An example that is not asked (it has no other tracks, shows nothing) has 0 in all of them.
    """

    name: str
    drawn: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    of: np.ndarray  # what shares are shares of: 1, or its number of tracks that are no targets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A measure over several examples: shares as set and as drawn, and equation (2)."""

    name: str
    set: float
    drawn: float
    errors: float
    of: int


def draw_tasks(
    curriculum: Curriculum,
    order: Order,
    *,
    examples: int | None = None,
    progress: Callable[[range], Iterable[int]] = iter,
) -> Draws:
    """Draws `examples` of a training's tasks, evenly spread: equation (1); None is all.

    `progress` sees the numbers of the examples go by. Raises BadInput where none are asked for.
    """
    total = order.first_index(order.total_steps)
    count = total if examples is None else min(examples, total)
    require(count >= 1, 'examples', count, 'is 1 or more')
    step = np.array([order.step_of((2 * i + 1) * total // (2 * count)) for i in range(count)])
    segments = [order.segment(int(s)) for s in step]
    slot = np.array([(i - of.first_index) % of.batch for i, of in enumerate(segments)])
    index = np.array([order.first_index(int(s)) for s in step]) + slot
    weights = {int(s): curriculum.target_count_weights(int(s)) for s in np.unique(step)}
    roles, kinds = [], []
    for i in progress(range(count)):
        roles.append(curriculum.draw_roles(order.seed, int(index[i]), int(step[i])))
        kinds.append(curriculum.kinds.draw(order.seed, int(index[i])))
    return Draws(
        curriculum=curriculum,
        order=order,
        index=index,
        step=step,
        slot=slot,
        weights=np.stack([weights[int(s)] for s in step]),
        roles=np.stack(roles),
        kind=np.array([list(Kind).index(kind) for kind, _ in kinds]),
        causal=np.array([causal for _, causal in kinds]),
    )


def hidden_frames(draws: Draws, num_frames: int) -> np.ndarray:
    """How many of `num_frames` each target hides, `[example, track]`; 0 of other tracks.

    Raises BadInput where a window cannot be hidden in part (`Kinds.check`).
    """
    kinds = draws.curriculum.kinds
    kinds.check(num_frames)
    is_target = draws.roles == Role.TARGET
    hidden = np.where(is_target, num_frames, 0)
    for i in np.flatnonzero(draws.kind != list(Kind).index(Kind.TEXT)):
        visible = kinds.visible(
            list(Kind)[draws.kind[i]],
            is_target[i],
            num_frames,
            seed=draws.order.seed,
            index=int(draws.index[i]),
        )
        hidden[i] -= visible.sum(axis=1)
    return hidden


def target_measures(draws: Draws) -> list[Measure]:
    """Whether an example has 1, 2, .. targets."""
    return [
        _whether(f'{k} target' + ('s' if k > 1 else ''), happened, p)
        for k, (happened, p) in enumerate(zip(draws.has_count.T, draws.weights.T, strict=True), 1)
    ]


def other_measures(draws: Draws) -> list[Measure]:
    """How many of an example's tracks that are no targets are given, and how many marginal."""
    of = (draws.roles != Role.TARGET).sum(axis=1)
    p_given = draws.curriculum.p_given
    return [
        Measure(
            name=name,
            drawn=(draws.roles == role).sum(axis=1),
            mean=of * p,
            variance=of * (p_given * (1 - p_given)),
            of=of,
        )
        for name, role, p in (
            ('given', Role.CONDITION, p_given),
            ('marginal', Role.MARGINAL, 1 - p_given),
        )
    ]


def kind_measures(draws: Draws) -> list[Measure]:
    """Whether an example is of each kind."""
    kinds = draws.curriculum.kinds
    share = {kind: np.full(len(draws), kinds.share(kind)) for kind in Kind}
    return [_whether(kind, draws.kind == k, share[kind]) for k, kind in enumerate(Kind)]


def causal_measure(draws: Draws) -> Measure:
    """Whether an example is causal."""
    p = sum(draws.curriculum.kinds.probability(kind, causal=True) for kind in Kind)
    return _whether('causal', draws.causal, np.full(len(draws), p))


def span_measure(draws: Draws, hidden: np.ndarray, num_frames: int) -> Measure:
    """What part an example hides of its targets, where it shows a part: equation (3).

    Args:
        hidden: from `hidden_frames`.
    """
    kinds = draws.curriculum.kinds
    asked = draws.kind != list(Kind).index(Kind.TEXT)
    targets = (draws.roles == Role.TARGET).sum(axis=1)
    lengths = (
        np.array(kinds.hidden_lengths(num_frames)) / num_frames if asked.any() else np.zeros(1)
    )
    shared = kinds.shared_span
    return Measure(
        name='hidden',
        drawn=asked * hidden.sum(axis=1) / targets / num_frames,
        mean=asked * lengths.mean(),
        variance=asked * lengths.var() * (shared + (1 - shared) / targets),
        of=asked.astype(int),
    )


def row(measure: Measure, where: np.ndarray) -> Row | None:
    """A measure over the examples of a mask, `[example]`; None where none of them is asked."""
    of = int(measure.of[where].sum())
    if not of:
        return None
    drawn, mean = float(measure.drawn[where].sum()), float(measure.mean[where].sum())
    return Row(
        name=measure.name,
        set=mean / of,
        drawn=drawn / of,
        errors=_errors(drawn - mean, float(measure.variance[where].sum())),
        of=of,
    )


def _whether(name: str, happened: np.ndarray, p: np.ndarray) -> Measure:
    return Measure(name=name, drawn=happened, mean=p, variance=p * (1 - p), of=np.ones(len(p), int))


def _errors(off: float, variance: float) -> float:
    """Equation (2); what has no variance is exactly as set, up to rounding, or impossible."""
    if abs(off) < 1e-6:
        return 0.0
    return off / math.sqrt(variance) if variance > 0 else math.copysign(IMPOSSIBLE, off)
