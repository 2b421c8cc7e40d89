"""The curriculum: which task is posed to example i, as a function of (seed, i) and its step.

Every stage of the training has a row of shares, one for each number of targets that a task can
have. With K tracks, rows r_0, r_1, .. that are each divided by their sum, and a step that is number
j of the n steps of stage s (both counted from 0):

(1) the number of targets   P(k) = r_s[k] for k = 1 .. K, where the transition is stepped;
                            (1 - a) r_{s - 1}[k] + a r_s[k] with a = (j + 1) / n, where it is linear
                            and s > 0: the new row stands alone at the last step of its stage.
                            After the last stage its row goes on
(2) which ones              every set of k tracks alike
(3) each other track        given with probability p_given, else marginalised, independently

so  P(roles) = P(k) / C(K, k) x p_given^(number given) x (1 - p_given)^(number marginal).

(4) text, inpainting or     drawn apart (`kinds`), whatever the roles and in every stage alike:
    continuation            P(roles, kind) = P(roles) x P(kind)

JEN-1 Composer moves from one-track to all-track generation and retains the earlier numbers, so that
nothing is forgotten: a row has shares for those too. The numbers and the transitions are ours.
The draws for example i use its own random streams (`streams`), so any example can be asked for
alone, in any order, on any host, and no task is tied to a slot of the batch.
"""

import dataclasses
import enum
import math

import numpy as np

from data_pipeline.kinds import Kind, Kinds
from data_pipeline.shares import are_shares, is_number, pick, weights
from data_pipeline.streams import stream
from jen1composer.diffusion.batch import Task
from jen1composer.errors import require
from jen1composer.tracks import Role


class Transition(enum.StrEnum):
    """How a stage takes over from the one before."""

    STEPPED = 'stepped'  # at its first step
    LINEAR = 'linear'  # along all its steps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training: `shares` of its examples have 1, 2, .. targets, to any sum."""

    steps: int
    shares: tuple[float, ...]  # [track]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curriculum:
    """Stages in order; the last one goes on for as long as the training does."""

    num_tracks: int
    stages: tuple[Stage, ...]
    transition: str = Transition.STEPPED
    p_given: float = 0.5
    kinds: Kinds = dataclasses.field(default_factory=Kinds)

    def __post_init__(self) -> None:
        require(len(self.stages) > 0, 'curriculum.stages', self.stages, 'is one or more')
        for stage in self.stages:
            require(
                type(stage.steps) is int and stage.steps >= 1,
                'curriculum.stage_steps',
                stage.steps,
                'are whole numbers of 1 or more',
            )
            require(
                are_shares(stage.shares, self.num_tracks),
                'curriculum.target_shares',
                stage.shares,
                f'are rows of one share for each number of targets, 1 to {self.num_tracks}, that '
                'are 0 or more and not all 0',
            )
        require(
            self.transition in list(Transition),
            'curriculum.transition',
            self.transition,
            f'are {", ".join(Transition)}',
        )
        require(
            is_number(self.p_given) and 0 <= self.p_given <= 1,
            'curriculum.p_given',
            self.p_given,
            'is 0 to 1',
        )

    @property
    def total_steps(self) -> int:
        """The steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage_at(self, step: int) -> int:
        """The index of the stage that step `step` (counted from 0) is in."""
        return self._place(step)[0]

    def target_count_weights(self, step: int) -> np.ndarray:
        """Equation (1): P(k) for k = 1 .. K at step `step`, `[track]`."""
        stage, number = self._place(step)
        row = weights(self.stages[stage].shares)
        taken_over = (number + 1) / self.stages[stage].steps
        if self.transition == Transition.STEPPED or stage == 0 or taken_over >= 1:
            return row
        before = weights(self.stages[stage - 1].shares)
        return (1 - taken_over) * before + taken_over * row

    def probability(self, roles: tuple[int, ...], step: int, kind: Kind | None = None) -> float:
        """P(roles) at step `step`; with `kind`, P(roles, kind)."""
        if kind is not None:
            return self.probability(roles, step) * self.kinds.share(kind)  # (4)
        counts = {role: sum(r == role for r in roles) for role in Role}
        targets = counts[Role.TARGET]
        if targets == 0:
            return 0.0
        of_set = self.target_count_weights(step)[targets - 1] / math.comb(self.num_tracks, targets)
        given = self.p_given ** counts[Role.CONDITION]
        return float(of_set * given * (1 - self.p_given) ** counts[Role.MARGINAL])

    def draw_roles(self, seed: int, index: int, step: int) -> np.ndarray:
        """The roles of example `index`, int32 `[track]`."""
        # Drawn whole, whatever is used of it, so that each decision has its own place.
        u = stream(seed, index, 'task').random(1 + 2 * self.num_tracks)
        count = 1 + pick(self.target_count_weights(step), u[0])  # (1)
        order = np.argsort(u[1 : 1 + self.num_tracks])  # (2)
        given = u[1 + self.num_tracks :] < self.p_given  # (3)
        roles = np.where(given, int(Role.CONDITION), int(Role.MARGINAL)).astype(np.int32)
        roles[order[:count]] = Role.TARGET
        return roles

    def draw(self, seed: int, index: int, step: int, num_frames: int) -> Task:
        """The task of example `index`, of `num_frames`; without a batch axis.

        Raises BadInput where the window is too short to be hidden in part (`Kinds.check`).
        """
        roles = self.draw_roles(seed, index, step)
        kind, causal = self.kinds.draw(seed, index)  # (4)
        visible = self.kinds.visible(kind, roles == Role.TARGET, num_frames, seed=seed, index=index)
        return Task(roles=roles, visible=visible, causal=np.array(causal))

    def _place(self, step: int) -> tuple[int, int]:
        """The stage that `step` is in, and its number there; beyond the end, of the last stage."""
        for number, stage in enumerate(self.stages):
            if step < stage.steps:
                return number, step
            step -= stage.steps
        return len(self.stages) - 1, self.stages[-1].steps + step
