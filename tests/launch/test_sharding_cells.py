"""Cells: what is swept, what decides a hash, and what becomes of a cell that dies."""

import dataclasses
import json

import pytest

from configs import demo
from jen1composer.errors import BadInput
from jen1composer.sharding.strategies import STRATEGIES
from launch import sharding_cells
from launch.sharding_cells import Cell, make_cells, parse_meshes, parse_sweep

SAME = {
    'devices': 'cpu:8',
    'given': {'num_tracks': 4},
    'frames': None,
    'compile_effort': 0.0,
    'repeats': 2,
}


def cells(*sweep: str, meshes: tuple[str, ...] = (), strategies=('dp', 'fsdp')) -> list[Cell]:
    config = demo.get_config()
    return make_cells(config, parse_meshes(meshes, strategies), parse_sweep(sweep, config), **SAME)


def test_a_cell_for_each_strategy_mesh_and_combination():
    found = cells('batch=8,16 remat=none,block', meshes=('fsdp:data=2,fsdp=4', 'fsdp:fsdp=8'))
    assert len(found) == 3 * 2 * 2
    assert len({cell.hash for cell in found}) == len(found)
    assert {cell.batch for cell in found} == {8, 16}
    assert {cell.config['model']['remat'] for cell in found} == {'none', 'block'}
    assert found[1].name == 'fsdp data=2,fsdp=4 batch=8 model.remat=none'


def test_every_strategy_has_its_own_mesh_by_default():
    assert parse_meshes((), tuple(STRATEGIES)) == {name: [''] for name in STRATEGIES}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('btach=8', 'no such key'),
        ('batch', '--sweep=batch: without values; allowed are keys of the config with values'),
        ('batch=', '--sweep=batch=: without values; '),
        ('p_given', '--sweep=p_given: without values; '),
        ('schedule=a', '--sweep=schedule=a: it is one of '),
        ('batch=many', 'like 16'),
        ('spans=perhaps', 'like True'),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(text, said):
    with pytest.raises(BadInput, match=said):
        cells(text)


@pytest.mark.parametrize('text', ['data=8', 'tp:data=8', 'dp:rows=8'])
def test_a_mesh_that_cannot_be_is_refused(text):
    with pytest.raises(BadInput, match='allowed'):
        cells(meshes=(text,))


def test_the_hash_is_of_all_that_decides_a_step_and_nothing_else(monkeypatch):
    one = cells()[0]

    def changed(**config):
        return dataclasses.replace(one, config={**one.config, **config}).hash

    assert changed(loop={'log_every': 1}, validation_batches=1) == one.hash
    assert changed(batch=8) != one.hash
    assert dataclasses.replace(one, compile_effort=-1.0).hash != one.hash
    assert dataclasses.replace(one, strategy='fsdp').hash != one.hash
    monkeypatch.setattr(sharding_cells, 'fingerprint', lambda: 'other sources')
    assert one.hash != cells()[1].hash != changed()


def test_one_device_has_its_share_or_all_where_devices_are_simulated():
    one = cells()[0]
    assert one.alone(8).batch == one.batch
    assert one.alone(8).devices == 'cpu:1'
    real = dataclasses.replace(one, devices='gpu:8')
    assert real.alone(8).batch == one.batch // 8


def test_a_cell_is_known_once_measured_and_one_that_died_is_measured_again(tmp_path):
    refused = dataclasses.replace(cells('batch=3')[0], repeats=0)
    assert sharding_cells.known(refused, tmp_path) is None
    found = sharding_cells.measured(refused, tmp_path)  # without a compilation: 3 is not for 8
    assert found['status'] == 'refused'
    assert 'batch: 3; allowed are multiples of 8' in found['reason']
    assert sharding_cells.known(refused, tmp_path) == found
    path = tmp_path / f'{refused.hash}.json'
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    path.write_text(json.dumps({'cell': {}, 'found': {'status': 'failed', 'reason': 'killed'}}))
    assert sharding_cells.known(refused, tmp_path) is None
