"""What `launch.compare_sharding` found: lines and tables for the terminal, JSON, and a page."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation.figures import bar_chart
from jen1composer.evaluation.page import Chart, Page, Table
from jen1composer.sharding.chips import find_chip, utilization
from jen1composer.sharding.projection import FORMULA, Projection, project
from launch.sharding_cells import Cell
from launch.sharding_devices import Devices

GIB = 2**30
NOTHING = '–'
KINDS = ('all-gather', 'reduce-scatter', 'all-reduce', 'all-to-all', 'collective-permute')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A cell with what was found (`sharding_measurement.measure`) of it and of `cell.alone`."""

    cell: Cell
    found: Mapping[str, Any]
    alone: Mapping[str, Any] | None = None

    @property
    def compiled(self) -> bool:
        return self.found['status'] in ('compiled', 'run')

    @property
    def bytes_sent(self) -> float:
        """By a device in a step, whatever it is sent over."""
        return sum(one['bytes_sent'] for one in self.found['collectives'])

    @property
    def bytes_between_slices(self) -> float:
        """Of `bytes_sent` those that go over the network between slices."""
        found = self.found['collectives']
        return sum(one['bytes_sent'] for one in found if one['between_slices'])

    @property
    def flops(self) -> float:
        """Of a device and step: what the network takes, not what is computed beside it."""
        return self.found['flops']['counted']

    @property
    def model_flops(self) -> float:
        """Of `flops` what the model asks for: not what rematerialisation computes again."""
        return self.found['flops']['model']

    @property
    def step_s(self) -> float | None:
        return self.found['step']['median_s'] if self.found['status'] == 'run' else None

    @functools.cached_property
    def projection(self) -> Projection | None:
        """Where the chip is known and the compiler says what is read and written."""
        chip = find_chip(self.found['device_kind']) if self.compiled else None
        accessed = self.found['bytes']['accessed'] if self.compiled else None
        if chip is None or accessed is None:
            return None
        compiled = self.found['flops']['compiled'] or 0.0  # more where work stays whole
        return project(
            chip,
            flops=max(self.flops, compiled),
            bytes_accessed=accessed,
            bytes_sent=self.bytes_sent - self.bytes_between_slices,
            bytes_between_slices=self.bytes_between_slices,
        )

    @property
    def mfu(self) -> float | None:
        if self.step_s is None:
            return None
        return utilization(self.model_flops / self.step_s, self.found['device_kind'])

    @property
    def efficiency(self) -> float | None:
        """The time of a step of `cell.alone` over that of this one."""
        if self.alone is None or self.alone['status'] != 'run' or self.step_s is None:
            return None
        return self.alone['step']['median_s'] / self.step_s

    @property
    def examples_per_s(self) -> float | None:
        """Measured, else projected at the worst."""
        if self.step_s is not None:
            return self.cell.batch / self.step_s
        return None if self.projection is None else self.cell.batch / self.projection.worst_s


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All rows."""

    devices: Devices
    rows: Sequence[Row]

    @property
    def best(self) -> Row | None:
        """The row of most examples a second, of those that fit."""
        able = [row for row in self.rows if row.compiled and row.examples_per_s]
        return max(able, key=lambda row: row.examples_per_s or 0, default=None)


# ---- As it comes


def heading(devices: Devices) -> str:
    time = 'step' if devices.is_here else 'projected step'
    return f'{"cell":<36} {"peak a device":>13} {"sent a step":>12} {"compiled in":>12} {time:>16}'


def line(row: Row) -> str:
    """One row, as soon as it is known."""
    name = f'{row.cell.name:<36}'
    if not row.compiled:
        return f'{name} {row.found["status"].upper()}: {row.found["reason"]}'
    compile_s = f'{row.found["seconds"]["compile"]:.0f} s'
    return (
        f'{name} {size(row.found["bytes"]["peak"]):>13} {size(row.bytes_sent):>12} '
        f'{compile_s:>12} {_time(row):>16}'
    )


def _time(row: Row) -> str:
    if row.step_s is not None:
        return seconds(row.step_s)
    if row.projection is None:
        return NOTHING
    return f'{seconds(row.projection.best_s)} to {seconds(row.projection.worst_s)}'


# ---- All of it


def tables(report: Report) -> list[Table]:
    """Memory, work, communication and time, a row a cell."""
    rows = [row for row in report.rows if row.compiled]
    lost = [row for row in report.rows if not row.compiled]
    found = [_memory(report)]
    if lost:
        found.append(_lost(lost))
    if rows:
        found += [_work(rows), _communication(rows)]
    if any(row.step_s is not None for row in rows):
        found.append(_measured(report, rows))
    if any(row.projection is not None for row in rows):
        found.append(_projected(rows))
    if report.best is not None and len(rows) > 1:
        found.append(_best(report.best))
    return found


def _memory(report: Report) -> Table:
    rows = []
    for row in report.rows:
        if not row.compiled:
            nothing = [NOTHING] * 5
            rows.append([row.cell.name, row.found['status'].upper(), f'{row.cell.batch}', *nothing])
            continue
        held = row.found['bytes']
        mesh = ','.join(f'{axis}={n}' for axis, n in row.found['mesh'].items()) or 'one device'
        parts = [held[name] for name in ('parameters', 'optimizer', 'average')]
        parts += [None if held['peak'] is None else max(0, held['peak'] - sum(parts)), held['peak']]
        rows.append([row.cell.name, mesh, f'{row.cell.batch}', *map(size, parts)])
    return Table(
        title=f'Memory of a device, {report.devices.text}',
        header=(
            'strategy',
            'mesh',
            'batch',
            'parameters',
            'optimiser',
            'average',
            'the rest',
            'peak',
        ),
        rows=rows,
        text='The peak is the compiler’s on TPUs and GPUs; on CPUs arguments + results - shared + '
        'temporaries. The rest is what it has beside the state: the batch, activations, gradients '
        'and gathered weights.',
    )


def _lost(rows: Sequence[Row]) -> Table:
    return Table(
        title='What could not be',
        header=('strategy', 'why'),
        rows=[
            [row.cell.name, f'{row.found["status"].upper()}: {row.found["reason"]}'] for row in rows
        ],
    )


def _work(rows: Sequence[Row]) -> Table:
    fast = any(row.cell.compile_effort for row in rows)
    return Table(
        title='Work of a device and step',
        header=(
            'strategy',
            'FLOPs, counted',
            'FLOPs, XLA',
            'read and written',
            'FLOPs a byte',
            'FLOPs a byte sent',
            'compiled in',
        ),
        rows=[
            [
                row.cell.name,
                amount(row.flops),
                amount(row.found['flops']['compiled']),
                size(row.found['bytes']['accessed']),
                ratio(row.flops, row.found['bytes']['accessed']),
                ratio(row.flops, row.bytes_sent),
                seconds(row.found['seconds']['compile']),
            ]
            for row in rows
        ],
        text='Counted are the products of matrices of the network’s gradient, from the config, '
        'what is computed again included, which MFU leaves out, shared evenly among devices; XLA '
        'counts all of its program, the optimiser and what a strategy leaves whole included.'
        + (
            ' Compiled with less effort (--compile_effort): bytes and times are those of a slower '
            'program.'
            if fast
            else ''
        ),
    )


def _communication(rows: Sequence[Row]) -> Table:
    body = []
    for row in rows:
        ideal = row.found.get('ideal') or {}
        kinds = {one['kind'] for one in row.found['collectives']}
        for kind in [kind for kind in KINDS if kind in kinds or kind in ideal]:
            ones = [one for one in row.found['collectives'] if one['kind'] == kind]
            axes = sorted({' x '.join(one['axes'] or ('?',)) for one in ones})
            least = 'at least ' if any(one['at_least'] for one in ones) else ''
            body.append(
                [
                    row.cell.name,
                    kind,
                    ', '.join(axes) or NOTHING,
                    f'{sum(one["count"] for one in ones)}',
                    least + size(sum(one['bytes_sent'] for one in ones)),
                    size(ideal[kind]) if kind in ideal else NOTHING,
                ]
            )
        total = sum(ideal.values()) if ideal else None
        body.append([row.cell.name, 'all', '', '', size(row.bytes_sent), size(total)])
    return Table(
        title='Sent by a device in a step',
        header=('strategy', 'collective', 'over', 'times', 'sent', 'ideally'),
        rows=body,
        text='Bytes of ring algorithms (jen1composer/sharding/collectives.py) beside those that '
        'the strategy needs in closed form (jen1composer/sharding/ideal.py). An all-reduce may '
        'stand for a reduce-scatter: compilers for CPUs never form one. What an optimiser sends '
        'for products of its own (Muon) is no part of the ideal.',
    )


def _measured(report: Report, rows: Sequence[Row]) -> Table:
    shared = (
        'Simulated devices share the cores of this host, so that a step on all of them would at '
        'the best take as long as the whole batch does on one: that is their efficiency.'
    )
    real = 'Efficiency: beside one device with its share of the batch.'
    return Table(
        title='Time of a step, measured',
        header=(
            'strategy',
            'median',
            'least',
            'examples/s',
            'TFLOP/s a device',
            'MFU',
            'efficiency',
        ),
        rows=[
            [
                row.cell.name,
                seconds(row.step_s),
                seconds(row.found['step']['least_s']),
                rate(row.examples_per_s),
                f'{row.model_flops / row.step_s / 1e12:.3g}',
                percent(row.mfu),
                percent(row.efficiency),
            ]
            for row in rows
            if row.step_s is not None
        ],
        text=shared if report.devices.is_simulated else real,
    )


def _projected(rows: Sequence[Row]) -> Table:
    return Table(
        title='Time of a step, a projection',
        header=(
            'strategy',
            'compute',
            'memory',
            'communication',
            'between slices',
            'bound by',
            'best',
            'worst',
            'MFU',
        ),
        rows=[
            [
                row.cell.name,
                seconds(row.projection.compute_s),
                seconds(row.projection.memory_s),
                seconds(row.projection.communication_s),
                seconds(row.projection.between_slices_s or None),
                row.projection.bound,
                seconds(row.projection.best_s),
                seconds(row.projection.worst_s),
                f'{_useful_s(row) / row.projection.worst_s:.0%} to '
                f'{_useful_s(row) / row.projection.best_s:.0%}',
            ]
            for row in rows
            if row.projection is not None
        ],
        text=f'Not measured: {FORMULA} (jen1composer/sharding/chips.py). F is XLA’s '
        'count where that is the larger one, as where each device computes what stays whole.',
    )


def _useful_s(row: Row) -> float:
    """Seconds of computing that are the model's own, at the peak: MFU is their share."""
    return utilization(row.model_flops, row.found['device_kind']) or 0.0


def _best(row: Row) -> Table:
    how = 'measured' if row.step_s is not None else 'projected at the worst'
    return Table(
        title='Most examples a second of what fits',
        header=('cell', 'batch', f'examples/s, {how}', 'peak'),
        rows=[
            [
                row.cell.name,
                f'{row.cell.batch}',
                rate(row.examples_per_s),
                size(row.found['bytes']['peak']),
            ]
        ],
    )


def page(report: Report) -> Page:
    """The same with charts."""
    rows = [row for row in report.rows if row.compiled]
    names = [row.cell.name for row in rows]

    def chart(title: str, unit: str, heights: Sequence[float], text: str) -> Chart:
        alt = f'{title}, {unit}, of each strategy'
        return Chart(title=title, text=text, svg=bar_chart(names, heights, y_label=unit, alt=alt))

    charts = []
    if rows:
        charts = [
            chart(
                'Memory',
                'MiB a device',
                [(row.found['bytes']['peak'] or 0) / 2**20 for row in rows],
                'The most that a device holds at once.',
            ),
            chart(
                'Communication',
                'MiB a device and step',
                [row.bytes_sent / 2**20 for row in rows],
                'What a device sends in a step.',
            ),
        ]
    timed = [row for row in rows if row.examples_per_s]
    if timed and len(timed) == len(rows):
        how = 'Measured.' if report.devices.is_here else 'Projected, at the worst; not measured.'
        speeds = [row.examples_per_s or 0 for row in rows]
        charts.append(chart('Speed', 'examples a second', speeds, how))
    return Page(
        title=f'Strategies of sharding on {report.devices.text}',
        paragraphs=[
            'What each strategy takes of a device, and what a step of it comes to. '
            + (
                'Steps were run.'
                if report.devices.is_here
                else 'Steps were compiled for devices that are not here, and not run.'
            )
        ],
        tables=tables(report),
        tables_title='What was measured' if report.devices.is_here else 'What the compiler says',
        charts=charts,
        charts_title='In pictures',
    )


def as_json(report: Report) -> dict[str, Any]:
    """All of it, for programs; `projection` is none of what was measured."""
    rows = []
    for row in report.rows:
        said = {
            'strategy': row.cell.strategy,
            'mesh': row.cell.mesh,
            'swept': dict(row.cell.swept),
            'batch': row.cell.batch,
            'hash': row.cell.hash,
            'compile_effort': row.cell.compile_effort,
            **row.found,
        }
        if row.compiled:
            said['bytes_sent'] = row.bytes_sent
        if row.step_s is not None:
            said |= {'mfu': row.mfu, 'efficiency': row.efficiency}
        if row.projection is not None:
            said['projection'] = dataclasses.asdict(row.projection) | {
                'best_s': row.projection.best_s,
                'worst_s': row.projection.worst_s,
                'formula': FORMULA,
            }
        rows.append(said)
    best = report.best
    return {
        'devices': report.devices.text,
        'rows': rows,
        'best': None if best is None else best.cell.name,
    }


# ---- Numbers as text


def size(num_bytes: float | None) -> str:
    if num_bytes is None:
        return NOTHING
    for unit, scale in (('GiB', GIB), ('MiB', 2**20), ('KiB', 2**10)):
        if num_bytes >= scale:
            return f'{num_bytes / scale:.2f} {unit}'
    return f'{num_bytes:.0f} B'


def amount(number: float | None) -> str:
    if number is None:
        return NOTHING
    for unit, scale in (('T', 1e12), ('G', 1e9), ('M', 1e6)):
        if number >= scale:
            return f'{number / scale:.2f} {unit}'
    return f'{number:.0f}'


def seconds(number: float | None) -> str:
    if number is None:
        return NOTHING
    return f'{number:.3g} s' if number >= 0.1 else f'{number * 1e3:.3g} ms'


def rate(number: float | None) -> str:
    if number is None:
        return NOTHING
    return f'{number:,.0f}' if number >= 100 else f'{number:.3g}'


def ratio(one: float, other: float | None) -> str:
    return f'{one / other:,.0f}' if other else NOTHING


def percent(share: float | None) -> str:
    return NOTHING if share is None else f'{share:.0%}'
