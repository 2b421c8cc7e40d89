"""Cells: what decides their names, what is refused, and that nothing is made twice."""

import copy

import pytest
from ml_collections import ConfigDict

from configs import ablation_freedoom, ablation_synthetic
from jen1composer.errors import BadInput
from launch.ablation_grid import BASE, known, make_cells, work


def config() -> ConfigDict:
    return ablation_synthetic.get_config('quick')


@pytest.mark.parametrize(
    'config', [config(), *map(ablation_freedoom.get_config, ('', 'style', 'quick'))]
)
def test_a_grid_has_every_variant_with_every_seed_and_equal_steps_and_data(config):
    cells = make_cells(config)
    names = [BASE, *config.variants]
    assert [(c.variant, c.seed) for c in cells] == [(n, s) for s in config.seeds for n in names]
    assert len({(c.config.batch, sum(c.config.curriculum.stage_steps)) for c in cells}) == 1
    assert len({c.name for c in cells}) == len({c.run_name for c in cells}) == len(cells)


def test_what_is_measured_decides_the_cell_and_not_the_training():
    changed = config()
    changed.measure.sets = 7
    changed.loop.log_every = 3
    for before, after in zip(make_cells(config()), make_cells(changed), strict=True):
        assert before.name != after.name
        assert before.run_name == after.run_name
    changed = config()
    changed.loop.log_every = 3
    assert [c.name for c in make_cells(changed)] == [c.name for c in make_cells(config())]
    changed.batch = 32
    assert make_cells(changed)[0].run_name != make_cells(config())[0].run_name


@pytest.mark.parametrize(
    ('key', 'value', 'said'),
    [
        ('seeds', (0, 1), 'seeds: .0, 1.; allowed are 3 or more'),
        ('seeds', (0, 1, 1), 'seeds'),
        ('variants', {'wider': {'model': {'widths': 3}}}, "variants.wider.model: 'widths'"),
        ('variants', {'No': {}}, 'variants'),
        ('sampling', ('none',), 'sampling'),
    ],
)
def test_what_makes_no_sense_is_refused(key, value, said):
    wrong = config()
    with wrong.unlocked():
        del wrong[key]
        wrong[key] = value
    with pytest.raises(BadInput, match=said):
        make_cells(wrong)


def test_what_is_done_is_never_made_again(tmp_path):
    cells, made = make_cells(config())[:4], []

    def make(cell):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(cell.name)
        return {'rows': {'': {'joint_all': float(cell.seed)}}}

    with pytest.raises(KeyboardInterrupt):
        list(work(cells, tmp_path, make, lambda left, _: left))
    assert [known(cell, tmp_path) is None for cell in cells] == [False, False, True, True]
    first = copy.copy(made)
    made.clear()
    *_, found = work(cells, tmp_path, make, lambda left, _: left)
    assert first + made == [cell.name for cell in cells]
    assert [of['variant'] for of in found] == [cell.variant for cell in cells]
