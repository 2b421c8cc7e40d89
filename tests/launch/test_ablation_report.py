"""The report: means and paired differences, from cells that are known."""

import json

import pytest

from launch.ablation_report import make_report, price_table, write
from launch.ablation_work import Price


def cell(variant: str, seed: int, value: float, **rows: dict) -> dict:
    return {'variant': variant, 'seed': seed, 'rows': {'': {'joint_all': value}, **rows}}


def cells() -> list[dict]:
    ways = {'one shot': {'joint_all': 0.5}, 'best of 2': {'joint_all': 0.75}}
    base = [cell('base', seed, value, **ways) for seed, value in enumerate((0.2, 0.5, 0.8))]
    return base + [cell('shared_time', s, v) for s, v in enumerate((0.1, 0.4, 0.7))]


ANCHORS = {'true sets': {'joint_all': 1.0}}


def test_differences_are_paired_by_seed():
    report = make_report(cells(), ANCHORS)
    found = report.as_json['differences']['shared_time']['joint_all']
    assert (found['mean'], found['low'], found['high']) == pytest.approx((-0.1, -0.1, -0.1))
    shown = [table.title for table in report.tables]
    assert shown == [
        'Variants',
        'Variant minus base',
        'Ways to sample with one model',
        'Way minus one shot',
    ]
    assert report.tables[1].rows == [['shared_time', '-0.100 ± 0.000*']]
    assert report.tables[0].rows[-1] == ['true sets', '1.000']
    assert report.tables[3].rows == [['best of 2', '+0.250 ± 0.000*']]


def test_after_one_seed_there_are_values_and_no_intervals():
    report = make_report(cells()[3::-3], ANCHORS)  # the base comes first, whenever it was made
    assert [row[0] for row in report.tables[0].rows] == ['base', 'shared_time', 'true sets']
    assert report.tables[0].rows[0] == ['base', '0.200']
    assert [table.title for table in report.tables] == ['Variants', 'Ways to sample with one model']
    assert report.charts == []


def test_the_page_and_the_json_are_written(tmp_path):
    write(tmp_path, 'A grid', cells(), ANCHORS)
    assert len(json.loads((tmp_path / 'ablation.json').read_text())['cells']) == 6
    page = (tmp_path / 'index.html').read_text()
    assert 'Runs: 6, seeds: 3' in page
    assert 'joint_all of each variant minus that of the base: shared_time -0.100' in page


def test_a_price_is_told_of_what_is_left():
    said = {'parameters': 1000, 'steps': 10, 'step_s': 0.5, 'compile_s': 1.0}
    prices = [
        Price(variant='base', cells=3, done=0, seconds=120.0, **said),
        Price(variant='other', cells=0, done=3, seconds=0.0, **said),
    ]
    table = price_table(prices)
    assert table.rows[0] == ['base', '3', '0', '1,000', '10', '500.0', '2.0']
    assert table.rows[1] == ['other', '0', '3', '', '', '', '0.0']
    assert table.text.startswith('3 runs, about 2 minutes')
