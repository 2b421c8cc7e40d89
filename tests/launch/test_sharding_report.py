"""The report: what is told of rows that ran, that were compiled, and that could not be."""

import dataclasses
import json
from typing import Any

import pytest

from jen1composer.evaluation.page import render
from jen1composer.sharding.chips import find_chip
from launch.data_description import terminal
from launch.sharding_cells import Cell
from launch.sharding_devices import Devices
from launch.sharding_report import Report, Row, as_json, line, page, size, tables

CELL = Cell(
    strategy='fsdp',
    mesh='',
    devices='cpu:8',
    swept={},
    config={'batch': 64},
    given={},
    frames=None,
    compile_effort=0.0,
    repeats=2,
)


def compiled(**changed: Any) -> dict[str, Any]:
    """What is found of a cell: a tenth of a second of each peak of a TPU v5e."""
    chip = find_chip('TPU v5e')
    assert chip is not None
    found = {
        'status': 'compiled',
        'device_kind': 'TPU v5e',
        'num_devices': 16,
        'mesh': {'fsdp': 16},
        'bytes': {
            'parameters': 2**20,
            'optimizer': 2**21,
            'average': 2**20,
            'temporary': 2**33,
            'peak': 2**31,
            'accessed': chip.memory_bytes_per_s / 10,
        },
        'flops': {  # half of what is computed is computed again
            'counted': chip.flops_per_s / 10,
            'model': chip.flops_per_s / 20,
            'compiled': chip.flops_per_s / 11,
        },
        'seconds': {'lower': 1.0, 'compile': 60.0},
        'collectives': [
            {
                'kind': 'all-gather',
                'axes': ['fsdp'],
                'group': 16,
                'between_slices': False,
                'count': 3,
                'bytes_sent': chip.interconnect_bytes_per_s / 10,
                'at_least': True,
            }
        ],
        'ideal': {'all-gather': 2.0**30, 'reduce-scatter': 2.0**29},
    }
    return found | changed


def ran(seconds: float, **changed: Any) -> dict[str, Any]:
    return compiled(
        status='run', step={'median_s': seconds, 'least_s': seconds, 'steps': 2}, **changed
    )


def row(found: dict[str, Any], alone: dict[str, Any] | None = None, **changed: Any) -> Row:
    return Row(cell=dataclasses.replace(CELL, **changed), found=found, alone=alone)


def report(*rows: Row, devices: Devices | None = None) -> Report:
    return Report(devices=devices or Devices.parse('cpu:8'), rows=rows)


def test_a_projection_is_called_one_and_shows_its_formula():
    pod = Devices(text='v5e:4x4', platform='tpu', topology='v5e:4x4')
    found = report(row(compiled()), devices=pod)
    text = terminal(tables(found))
    assert 'a projection' in text
    assert 'best = max(F / f' in text
    assert 'measured' not in text.lower().replace('not measured', '')
    said = as_json(found)['rows'][0]['projection']
    assert said['best_s'] == pytest.approx(0.1)
    assert said['worst_s'] == pytest.approx(0.2)
    assert '25% to 50%' in text  # MFU: what is computed again is no use


def test_a_projection_computes_what_stays_whole_on_each_device():
    flops = compiled()['flops']
    whole = row(compiled(flops=flops | {'compiled': 3 * flops['counted']}))
    assert whole.projection.compute_s == pytest.approx(0.3)
    assert '12% to 17%' in terminal(tables(report(whole)))  # which is no use either
    assert row(compiled(flops=flops | {'compiled': None})).projection.compute_s == pytest.approx(
        0.1
    )


def test_a_projection_on_two_slices_sends_over_their_network():
    chip = find_chip('TPU v5e')
    inside, gradients = compiled()['collectives'][0], {'between_slices': True, 'axes': ['data']}
    gradients = inside | gradients | {'bytes_sent': chip.between_slices_bytes_per_s / 2}
    found = row(compiled(num_slices=2, collectives=[inside, gradients]), devices='2xv5e:4x4')
    assert found.projection.communication_s == pytest.approx(0.1)
    assert found.projection.between_slices_s == pytest.approx(0.5)
    assert found.projection.worst_s == pytest.approx(0.7)
    assert found.bytes_sent == inside['bytes_sent'] + gradients['bytes_sent']
    unknown = compiled(collectives=[inside, gradients], device_kind='TPU v4')
    assert row(unknown, devices='2xv4:2x2x1').projection is None


def test_what_was_run_has_speed_utilisation_and_efficiency():
    found = row(ran(0.5), alone=ran(0.4))
    assert found.efficiency == pytest.approx(0.8)
    assert found.mfu == pytest.approx(0.1)  # a twentieth of a second of its peak, in half of one
    assert found.examples_per_s == pytest.approx(128)
    assert '80%' in terminal(tables(report(found)))


def test_a_device_without_published_peaks_has_no_utilisation_and_no_projection():
    found = row(ran(0.5, device_kind='cpu'))
    assert found.mfu is None
    assert found.projection is None


@pytest.mark.parametrize('status', ['out of memory', 'refused', 'failed'])
def test_what_could_not_be_says_so_and_is_never_the_best(status):
    lost = row({'status': status, 'reason': 'needs 20.1G of 15.7G HBM'}, strategy='dp')
    found = report(lost, row(ran(0.5)))
    for text in (line(lost), terminal(tables(found)), render(page(found))):
        assert f'{status.upper()}: needs 20.1G of 15.7G HBM' in text
    assert found.best is found.rows[1]
    assert json.loads(json.dumps(as_json(found)))['rows'][0]['status'] == status
    assert report(lost).best is None
    assert render(page(report(lost)))


def test_the_best_is_that_of_most_examples_a_second_not_of_the_shortest_step():
    small = row(ran(0.1), config={'batch': 8})
    large = row(ran(0.5), config={'batch': 64})
    assert report(small, large).best is large


def test_sent_bytes_stand_beside_the_ideal_ones_and_a_least_says_so():
    found = terminal(tables(report(row(compiled()))))
    assert 'at least 18.63 GiB' in found  # 20e9 bytes
    assert '1.00 GiB' in found
    assert '512.00 MiB' in found  # a reduce-scatter that was not formed is a row too


def test_memory_adds_up_to_the_peak_whatever_the_compiler_calls_temporary():
    memory = tables(report(row(compiled())))[0]
    found = dict(zip(memory.header, memory.rows[0], strict=True))
    assert found['parameters'] == found['average'] == '1.00 MiB'
    assert (found['optimiser'], found['the rest'], found['peak']) == (
        '2.00 MiB',
        f'{(2**31 - 2**22) / 2**30:.2f} GiB',
        '2.00 GiB',
    )


def test_sizes():
    texts = [size(number) for number in (None, 0, 1023, 2**10, 3 * 2**20, 2**30)]
    assert texts == ['–', '0 B', '1023 B', '1.00 KiB', '3.00 MiB', '1.00 GiB']


def test_the_page_has_no_music():
    assert 'id="music"' not in render(page(report(row(ran(0.5)))))
