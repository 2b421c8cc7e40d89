"""An ablation as tables, JSON and a page."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation.page import Chart, Page, Table, render
from jen1composer.evaluation.seed_intervals import SeedInterval, over_seeds, paired
from launch.ablation_figures import difference_chart
from launch.ablation_grid import BASE, Rows
from launch.ablation_work import Price

Values = Mapping[str, Mapping[str, Mapping[int, float]]]  # row -> measure -> seed -> value
MOST_COLUMNS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What is shown."""

    tables: Sequence[Table]
    charts: Sequence[Chart]
    as_json: Mapping[str, Any]


def price_table(prices: Sequence[Price]) -> Table:
    """What a grid will cost, before it is begun."""
    rows = [
        [
            price.variant,
            f'{price.cells}',
            f'{price.done}',
            f'{price.parameters:,}' if price.cells else '',
            f'{price.steps:,}' if price.cells else '',
            f'{1e3 * price.step_s:.1f}' if price.cells else '',
            f'{price.seconds / 60:.1f}',
        ]
        for price in prices
    ]
    left, minutes = sum(p.cells for p in prices), sum(p.seconds for p in prices) / 60
    return Table(
        title='What the grid will cost',
        header=['variant', 'runs left', 'done', 'parameters', 'steps', 'ms a step', 'minutes left'],
        rows=rows,
        text=f'{left} runs, about {minutes:.0f} minutes on this machine as it is now',
    )


def make_report(found: Sequence[Mapping[str, Any]], anchors: Rows) -> Report:
    """Of what was found of cells, seed by seed."""
    variants, ways = collect(sorted(found, key=lambda cell: cell['variant'] != BASE))
    base, tables, charts = variants.get(BASE, {}), [], []
    measures = _measures(variants)
    for begin in range(0, len(measures), MOST_COLUMNS):
        some = measures[begin : begin + MOST_COLUMNS]
        tables.append(_means('Variants', variants, some, anchors))
    differences = {name: _differences(of, base) for name, of in variants.items() if name != BASE}
    compared = [
        measure for measure in measures if any(measure in of for of in differences.values())
    ]
    for begin in range(0, len(compared), MOST_COLUMNS):
        some = compared[begin : begin + MOST_COLUMNS]
        tables.append(_difference_table(f'Variant minus {BASE}', differences, some))
    shown = {name: of for name, of in ways.items() if not name.startswith('order ')}
    if shown:
        tables.append(_means('Ways to sample with one model', shown, _measures(shown), anchors))
        of_ways = {name: _differences(of, shown['one shot']) for name, of in shown.items()}
        of_ways.pop('one shot')
        if any(of_ways.values()):
            tables.append(_difference_table('Way minus one shot', of_ways, _measures(shown)))
    for measure in measures:
        one = {name: of[measure] for name, of in differences.items() if of.get(measure)}
        if one:
            charts.append(
                Chart(
                    title=f'{measure}, variant minus {BASE}',
                    svg=difference_chart(one, measure),
                    text='Mean and 95 % interval over seeds, paired.',
                )
            )
    return Report(
        tables=tables,
        charts=charts,
        as_json={
            'cells': list(found),
            'anchors': anchors,
            'variants': _plain({n: _intervals(of) for n, of in variants.items()}),
            'differences': _plain(differences),
            'ways': _plain({n: _intervals(of) for n, of in ways.items()}),
        },
    )


def write(
    workdir: pathlib.Path, title: str, found: Sequence[Mapping[str, Any]], anchors: Rows
) -> Report:
    """Writes ablation.json and index.html."""
    report = make_report(found, anchors)
    seeds = len({cell['seed'] for cell in found})
    page = Page(
        title=title,
        paragraphs=[
            f'Runs: {len(found)}, seeds: {seeds}. Every variant is trained on as many steps of as '
            'many examples as the base, with the same data and noise for the same seed. A star '
            'marks a difference whose 95 % interval (Student, paired by seed) excludes 0.'
        ],
        tables=report.tables,
        charts=report.charts,
        charts_title='Differences',
    )
    (workdir / 'ablation.json').write_text(json.dumps(report.as_json, indent=1) + '\n')
    (workdir / 'index.html').write_text(render(page))
    return report


def collect(found: Sequence[Mapping[str, Any]]) -> tuple[Values, Values]:
    """Values of the variants themselves, and of the further rows, by row, measure and seed."""
    variants: dict[str, dict[str, dict[int, float]]] = {}
    ways: dict[str, dict[str, dict[int, float]]] = {}
    for cell in found:
        for row, measured in cell['rows'].items():
            place = ways.setdefault(row, {}) if row else variants.setdefault(cell['variant'], {})
            for measure, value in measured.items():
                place.setdefault(measure, {})[cell['seed']] = value
    return variants, ways


def _measures(values: Values) -> list[str]:
    return list(dict.fromkeys(measure for of in values.values() for measure in of))


def _intervals(of: Mapping[str, Mapping[int, float]]) -> dict[str, SeedInterval]:
    return {
        measure: over_seeds(list(values.values()))
        for measure, values in of.items()
        if len(values) >= 2
    }


def _differences(
    of: Mapping[str, Mapping[int, float]], base: Mapping[str, Mapping[int, float]]
) -> dict[str, SeedInterval]:
    found = {m: paired(values, base[m]) for m, values in of.items() if m in base}
    return {measure: interval for measure, interval in found.items() if interval}


def _means(title: str, values: Values, measures: Sequence[str], anchors: Rows) -> Table:
    def cell(of: Mapping[int, float] | None) -> str:
        if not of:
            return ''
        if len(of) < 2:
            return f'{next(iter(of.values())):.3f}'
        interval = over_seeds(list(of.values()))
        return f'{interval.mean:.3f} ± {interval.high - interval.mean:.3f}'

    rows = [[name, *(cell(of.get(m)) for m in measures)] for name, of in values.items()]
    rows += [
        [name, *(f'{of[m]:.3f}' if m in of else '' for m in measures)]
        for name, of in anchors.items()
        if any(m in of for m in measures)
    ]
    return Table(title=title, header=['', *measures], rows=rows)


def _difference_table(
    title: str, differences: Mapping[str, Mapping[str, SeedInterval]], measures: Sequence[str]
) -> Table:
    def cell(interval: SeedInterval | None) -> str:
        if interval is None:
            return ''
        star = '*' if interval.excludes_zero else ''
        return f'{interval.mean:+.3f} ± {interval.high - interval.mean:.3f}{star}'

    rows = [[name, *(cell(of.get(m)) for m in measures)] for name, of in differences.items()]
    return Table(title=title, header=['', *measures], rows=rows)


def _plain(tree: Mapping[str, Mapping[str, SeedInterval]]) -> dict[str, Any]:
    return {
        row: {measure: dataclasses.asdict(interval) for measure, interval in of.items()}
        for row, of in tree.items()
    }
