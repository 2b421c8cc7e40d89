"""The parts of `launch.benchmark` that are about the models' own speed, and the page of them all.

    train      steps beside PyTorch's and the machine's peak    launch/train_benchmark.py
    tracks     a step of eight tracks beside one of one         launch/track_costs.py
    sampling   seconds of music a second, by sampler            launch/sampling_benchmark.py
    start      import, first step, first sound                  launch/start_benchmark.py

A part tells all that it has found so far after each of its cases, which is then OUT/PART.json, and
all parts are OUT/speed.html: what is interrupted keeps the cases that were done.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from etils import epath

from configs import demo
from jen1composer.evaluation.figures import COLOURS, Line, line_chart
from jen1composer.evaluation.page import Chart, Page, Table, render
from jen1composer.generation.composer import Composer
from jen1composer.training.files import write_whole
from launch import (
    sampling_benchmark,
    start_benchmark,
    track_costs,
    train_benchmark,
)
from launch.train_cases import USUAL

SAMPLERS, SAMPLER_STEPS = ('ddim', 'dpmpp_2m'), (5, 10, 20, 50)

Found = dict[str, Any]  # JSON
Told = tuple[Found, list[Table], list[Chart]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What is asked of all parts.

    Attributes:
        peer_python: a Python that has PyTorch, or None.
        workdir: of the composer that samples, or None for that of the package.
        rounds: of what is compared; pieces and starts that are timed are fewer.
        dtype: of the composers that are trained.
        cases: of `train_cases` that are trained; (): the usual ones.
        muon: whether they are timed with their configs' optimiser as well.
        quick: the least of everything, to see that it works.
        progress: `launch.command.progress`.
    """

    peer_python: str | None
    workdir: str | None
    rounds: int
    dtype: str
    cases: Sequence[str]
    muon: bool
    quick: bool
    progress: Callable[..., Iterable[Any]]


def measure_parts(names: Sequence[str], options: Options, out: epath.Path) -> list[Table]:
    """Measures the parts one after another and writes them; returns their tables."""
    tables: list[Table] = []
    charts: list[Chart] = []
    for name in names:
        before = tables, charts
        for found, shown, drawn in PARTS[name](options):
            write_whole(out / f'{name}.json', (json.dumps(found, indent=1) + '\n').encode())
            tables, charts = [*before[0], *shown], [*before[1], *drawn]
            page = Page(title='Speed', paragraphs=[], tables=tables, charts=charts)
            page = dataclasses.replace(page, charts_title='Plots')
            write_whole(out / 'speed.html', render(page).encode())
    return tables


def _train(options: Options) -> Iterator[Told]:
    usual = USUAL[:2] if options.quick else USUAL
    for found in train_benchmark.measure_training(
        options.cases or usual,
        peer_python=options.peer_python,
        rounds=1 if options.quick else options.rounds,
        steps=1 if options.quick else 3,
        threads=os.cpu_count() or 1,
        dtype=options.dtype,
        muon=options.muon,
        progress=options.progress,
    ):
        yield found, train_benchmark.tables(found), _ratios(found)


def _ratios(found: Found) -> list[Chart]:
    """Ours over theirs by round, where there is a peer."""
    compared = [
        (f'{row["name"]}, {side}', ratio)
        for row in found['rows']
        for side, ratio in row['ratios'].items()
    ]
    lines = [
        Line(
            label=f'{row["name"]}, {side}',
            x=range(1, len(ratio['rounds']) + 1),
            y=ratio['rounds'],
            colour=i % len(COLOURS),
            marked=True,
            dashed=side.endswith('compile'),
        )
        for i, row in enumerate(found['rows'])
        for side, ratio in row['ratios'].items()
    ]
    if not lines:
        return []
    told = ', '.join(f'{label}: {ratio["median"]:.2f}' for label, ratio in compared)
    svg = line_chart(lines, x_label='round', y_label='ours / theirs', alt=f'Ratios: {told}')
    return [Chart(title='A step beside PyTorch', svg=svg, text='Below 1 ours is the faster.')]


def _tracks(options: Options) -> Iterator[Told]:
    config = demo.get_config()
    if options.quick:
        config.batch = 2
    rounds = 1 if options.quick else 2 * options.rounds
    found = track_costs.measure(config, tracks=(1, 8), rounds=rounds, progress=options.progress)
    yield found, [track_costs.table(found)], []


def _sampling(options: Options) -> Iterator[Told]:
    found = sampling_benchmark.measure_sampling(
        Composer.load(options.workdir),
        samplers=SAMPLERS[-1:] if options.quick else SAMPLERS,
        steps=(2, 4) if options.quick else SAMPLER_STEPS,
        repeats=1 if options.quick else 3,
        progress=options.progress,
        reference_steps=6 if options.quick else sampling_benchmark.REFERENCE_STEPS,
    )
    lines = []
    for colour, sampler in enumerate(SAMPLERS):
        rows = [row for row in found['rows'] if row['sampler'] == sampler]
        x, y = [row['steps'] for row in rows], [row['music_s_per_s'] for row in rows]
        lines.append(Line(label=sampler, x=x, y=y, colour=colour, marked=True))
    told = ', '.join(f'{row["sampler"]} {row["steps"]}' for row in found['rows'])
    svg = line_chart(lines, x_label='steps', y_label='seconds of music a second', alt=told)
    chart = Chart(title='Sampling', svg=svg, text='Above 1 it is faster than it plays.')
    yield found, sampling_benchmark.tables(found), [chart]


def _start(options: Options) -> Iterator[Told]:
    found = start_benchmark.measure_start(
        options.workdir, repeats=1 if options.quick else 3, progress=options.progress
    )
    yield found, start_benchmark.tables(found), []


PARTS: dict[str, Callable[[Options], Iterator[Told]]] = {
    'train': _train,
    'tracks': _tracks,
    'sampling': _sampling,
    'start': _start,
}
