"""Shares of the tasks that a curriculum drew beside those that were set, along the training."""

import dataclasses
import itertools
from collections.abc import Mapping

import numpy as np

from data_pipeline.kinds import Kind
from jen1composer.tracks import Role
from launch.task_draws import Draws, kind_measures, row, target_measures

SHARE_BINS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskShares:
    """Shares of the tasks that the curriculum drew, beside those that were set, over the steps."""

    edges: list[int]  # of the bins, in steps
    steps: list[float]  # middle of each bin
    drawn: list[list[float]]  # [bin, k - 1]: of examples with k targets
    set: list[list[float]]
    given: list[float | None]  # [bin]: of tracks that are no target; None where there are none
    p_given: float
    kinds: Mapping[str, list[float]]  # by kind, per bin: of examples
    kinds_set: Mapping[str, float]
    largest_sigma: float  # the largest deviation of a share from the set one, in standard errors


def task_shares(draws: Draws, *, num_bins: int = SHARE_BINS) -> TaskShares:
    """What was drawn, by up to `num_bins` stretches of steps.

    The largest deviation is that of a number of targets over a stage, or of a kind over all.
    """
    num_steps = draws.num_steps
    edges = np.linspace(0, num_steps, min(num_bins, num_steps) + 1).round().astype(int)
    bins = [slice(*np.searchsorted(draws.step, pair)) for pair in itertools.pairwise(edges)]
    given = (draws.roles == Role.CONDITION).sum(axis=1)
    others = (draws.roles != Role.TARGET).sum(axis=1)
    has_count, stage = draws.has_count, draws.stage
    curriculum = draws.curriculum
    compared = [
        *(row(m, stage == s) for m in target_measures(draws) for s in np.unique(stage)),
        *(row(m, stage >= 0) for m in kind_measures(draws)),
    ]
    return TaskShares(
        edges=edges.tolist(),
        steps=((edges[:-1] + edges[1:]) / 2).tolist(),
        drawn=[has_count[part].mean(axis=0).round(4).tolist() for part in bins],
        set=[draws.weights[part].mean(axis=0).round(4).tolist() for part in bins],
        given=[
            round(float(given[p].sum() / others[p].sum()), 4) if others[p].any() else None
            for p in bins
        ],
        p_given=curriculum.p_given,
        kinds={
            kind: [round(float((draws.kind[part] == k).mean()), 4) for part in bins]
            for k, kind in enumerate(Kind)
        },
        kinds_set={kind: round(curriculum.kinds.share(kind), 4) for kind in Kind},
        largest_sigma=round(max(abs(found.errors) for found in compared if found), 2),
    )
