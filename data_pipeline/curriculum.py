"""The curriculum: which task is posed to example i, as a function of (seed, i) and its step.

Stage s of the training asks for up to n_s targets at once. With K tracks:

(1) the number of targets   P(k = n_s) = newest_share, the rest spread evenly over 1 .. n_s - 1
                            (earlier stages stay, so that nothing is forgotten; n_s = 1: always 1)
(2) which ones              every set of k tracks alike
(3) each other track        given with probability p_given, else marginalised, independently

so  P(roles) = P(k) / C(K, k) x p_given^(number given) x (1 - p_given)^(number marginal).

(4) text, inpainting or     drawn apart (`kinds`), whatever the roles and in every stage alike:
    continuation            P(roles, kind) = P(roles) x P(kind)

(JEN-1 Composer moves from one-track to all-track generation; the weights are ours.)
The draws for example i use its own random streams (`streams`), so any example can be asked for
alone, in any order, on any host, and no task is tied to a slot of the batch.
"""

import dataclasses
import math

import numpy as np

from data_pipeline.kinds import Kind, Kinds
from data_pipeline.streams import stream
from jen1composer.diffusion.batch import Task
from jen1composer.errors import BadInput
from jen1composer.tracks import Role


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stretch of training that asks for up to `max_targets` tracks at once."""

    steps: int
    max_targets: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curriculum:
    """Stages in order; the last one goes on for as long as the training does."""

    num_tracks: int
    stages: tuple[Stage, ...]
    newest_share: float = 0.5
    p_given: float = 0.5
    kinds: Kinds = dataclasses.field(default_factory=Kinds)

    def __post_init__(self) -> None:
        if not self.stages:
            raise BadInput('curriculum.stages: (); allowed is one or more')
        for stage in self.stages:
            if not 1 <= stage.max_targets <= self.num_tracks or stage.steps < 1:
                raise BadInput(
                    f'curriculum.stages: {stage}; allowed are 1 or more steps '
                    f'and 1 to {self.num_tracks} targets'
                )
        for name in ('newest_share', 'p_given'):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f'curriculum.{name}: {getattr(self, name)}; allowed is 0 to 1')

    def stage_at(self, step: int) -> int:
        """The index of the stage that step `step` (counted from 0) is in."""
        end = 0
        for number, stage in enumerate(self.stages):
            end += stage.steps
            if step < end:
                return number
        return len(self.stages) - 1

    def target_count_weights(self, stage: int) -> np.ndarray:
        """Equation (1): P(k) for k = 1 .. K, `[track]`."""
        most = self.stages[stage].max_targets
        weights = np.zeros(self.num_tracks)
        if most > 1:
            weights[: most - 1] = (1 - self.newest_share) / (most - 1)
        weights[most - 1] = 1 - weights.sum()
        return weights

    def probability(self, roles: tuple[int, ...], stage: int, kind: Kind | None = None) -> float:
        """P(roles) in a stage; with `kind`, P(roles, kind)."""
        if kind is not None:
            return self.probability(roles, stage) * self.kinds.share(kind)  # (4)
        counts = {role: sum(r == role for r in roles) for role in Role}
        targets = counts[Role.TARGET]
        if targets == 0:
            return 0.0
        of_set = self.target_count_weights(stage)[targets - 1] / math.comb(self.num_tracks, targets)
        given = self.p_given ** counts[Role.CONDITION]
        return float(of_set * given * (1 - self.p_given) ** counts[Role.MARGINAL])

    def draw_roles(self, seed: int, index: int, step: int) -> np.ndarray:
        """The roles of example `index`, int32 `[track]`."""
        # Drawn whole, whatever is used of it, so that each decision has its own place.
        u = stream(seed, index, 'task').random(1 + 2 * self.num_tracks)
        cumulative = np.cumsum(self.target_count_weights(self.stage_at(step)))
        count = 1 + int(np.searchsorted(cumulative[:-1], u[0], side='right'))  # (1)
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
