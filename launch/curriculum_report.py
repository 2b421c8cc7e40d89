"""What a curriculum asks of a training: its shares as set and as drawn, as JSON and as a table.

Each stage, the whole training, each host and each slot of the batch are the same rows over other
examples. Of hosts and slots only the row that is furthest off is kept. Being the furthest of n, it
is to be compared with what the furthest of n exceeds by chance: with normal deviations,

(1) beyond z in one of a hundred trainings, where n x 2 (1 - Phi(z)) = 1 / 100.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from launch.task_draws import (
    Draws,
    Measure,
    Row,
    causal_measure,
    kind_measures,
    other_measures,
    row,
    span_measure,
    target_measures,
)

MOST_HOSTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stage, or the whole training."""

    name: str
    first_step: int
    last_step: int
    examples: int
    rows: list[Row]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Furthest:
    """The row that is furthest off among hosts or slots."""

    parts: int  # hosts or slots
    compared: int  # rows of them that chance decides
    part: int
    row: Row | None
    by_chance: float  # equation (1), in standard errors


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurriculumReport:
    """All that was found; `summary` has it as JSON values."""

    tracks: int
    seed: int
    batch: int
    steps: int
    transition: str
    stages: list[Stretch]
    whole: Stretch
    hosts: Furthest
    slots: Furthest

    def summary(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def make_report(draws: Draws, hidden: np.ndarray, num_frames: int) -> CurriculumReport:
    """Compares what was drawn with what was set.

    Args:
        draws: of at least one example.
        hidden: of `num_frames`, from `hidden_frames`.
    """
    measures = [
        *target_measures(draws),
        *other_measures(draws),
        *kind_measures(draws),
        causal_measure(draws),
        span_measure(draws, hidden, num_frames),
    ]
    curriculum, stage = draws.curriculum, draws.stage
    ends = np.cumsum([0] + [of.steps for of in curriculum.stages]).tolist()
    hosts = math.gcd(draws.batch, MOST_HOSTS)
    host = draws.slot // (draws.batch // hosts)
    return CurriculumReport(
        tracks=curriculum.num_tracks,
        seed=draws.order.seed,
        batch=draws.batch,
        steps=draws.num_steps,
        transition=str(curriculum.transition),
        stages=[
            _stretch(f'stage {s}', ends[s], ends[s + 1] - 1, measures, stage == s)
            for s in range(len(curriculum.stages))
        ],
        whole=_stretch('all stages', 0, draws.num_steps - 1, measures, stage >= 0),
        hosts=_furthest(measures, [host == h for h in range(hosts)]),
        slots=_furthest(measures, [draws.slot == s for s in range(draws.batch)]),
    )


def table(report: CurriculumReport) -> str:
    """The report in lines of up to 100 characters."""
    lines = [
        f'{report.tracks} tracks, {report.steps:,} steps of {report.batch}, {report.transition}, '
        f'seed {report.seed}: {report.whole.examples:,} of {report.steps * report.batch:,} '
        'examples drawn'
    ]
    for stretch in [*report.stages, report.whole]:
        lines += ['', *_stretch_lines(stretch)]
    lines += [
        '',
        'Furthest off, in standard errors:',
        _furthest_line('host', report.hosts),
        _furthest_line('slot', report.slots),
    ]
    return '\n'.join(lines)


def _stretch(
    name: str, first_step: int, last_step: int, measures: Iterable[Measure], where: np.ndarray
) -> Stretch:
    return Stretch(
        name=name,
        first_step=first_step,
        last_step=last_step,
        examples=int(where.sum()),
        rows=[found for measure in measures if (found := row(measure, where))],
    )


def _furthest(measures: Sequence[Measure], masks: Sequence[np.ndarray]) -> Furthest:
    found = [
        (part, of_part)
        for part, where in enumerate(masks)
        for measure in measures
        if (of_part := row(measure, where)) and (of_part.errors or measure.variance[where].any())
    ]
    part, furthest = max(found, key=lambda pair: abs(pair[1].errors), default=(0, None))
    chance = 1 - 0.01 / (2 * max(1, len(found)))
    return Furthest(
        parts=len(masks),
        compared=len(found),
        part=part,
        row=furthest,
        by_chance=statistics.NormalDist().inv_cdf(chance),
    )


def _stretch_lines(stretch: Stretch) -> list[str]:
    head = f'{stretch.name}, steps {stretch.first_step:,} to {stretch.last_step:,}'
    lines = [f'{head:<36}{"as set":>8}{"drawn":>8}{"errors":>8}{"of":>9}']
    words = {'given': 'given, of the other tracks', 'marginal': 'marginal, of the other tracks'}
    words['hidden'] = 'hidden, of targets shown in part'
    lines += [
        f'  {words.get(r.name, r.name):<34}{r.set:>8.4f}{r.drawn:>8.4f}{r.errors:>+8.2f}{r.of:>9,}'
        for r in stretch.rows
    ]
    return lines if stretch.rows else [*lines, '  no example drawn']


def _furthest_line(word: str, furthest: Furthest) -> str:
    if furthest.row is None:
        return f'  of {furthest.parts} {word}s: nothing is left to chance'
    return (
        f'  of {furthest.parts} {word}s: {furthest.row.errors:+.2f} ({word} {furthest.part}, '
        f'{furthest.row.name}); the furthest of {furthest.compared} is beyond '
        f'{furthest.by_chance:.2f} once in a hundred'
    )
