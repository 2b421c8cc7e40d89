"""Strategies agree: every leaf of the gradient, and the parameters after three steps of SGD.

Here a pairwise cover of strategy, stage, accumulation and remat; the whole grid of 80 cells with

    bash launch/test.sh -m grid tests/jen1composer/sharding/test_equality.py
"""

import numpy as np
import pytest

from jen1composer.sharding.strategies import STRATEGIES
from tests.jen1composer.sharding import equality
from tests.jen1composer.sharding.equality import Cell


def name(cell: Cell) -> str:
    return f'{cell.stage}-{cell.strategy}-{cell.mesh}-{cell.accumulate}-{cell.remat}'


@pytest.mark.parametrize('cell', equality.cover(), ids=name)
def test_a_strategy_trains_as_one_device_does(cell):
    gradient, params = equality.errors(cell)
    assert gradient <= 1
    assert params <= 1


@pytest.mark.slow
@pytest.mark.grid
@pytest.mark.parametrize('cell', equality.grid(), ids=name)
def test_every_strategy_on_every_mesh_trains_as_one_device_does(cell):
    gradient, params = equality.errors(cell)
    assert gradient <= 1
    assert params <= 1


@pytest.mark.parametrize('stage', equality.STAGES)
def test_on_one_device_each_weight_has_a_gradient_and_moves(stage):
    alone = equality.trained(Cell(stage, 'dp'))
    assert all(np.abs(leaf).max() > 1e-5 for leaf in alone.gradient.values())
    before = equality.by_name(equality.start(stage).params)
    assert all((alone.params[leaf] != before[leaf]).any() for leaf in before)


def test_parts_that_are_accumulated_have_the_gradient_of_the_whole_batch():
    whole = equality.trained(Cell('composer', 'dp'))
    parts = equality.trained(Cell('composer', 'dp', accumulate=4))
    assert equality.worst(parts.gradient, whole.gradient) <= 1


@pytest.mark.parametrize('name', STRATEGIES)
def test_what_a_strategy_splits_is_split_in_fact(name):
    """Otherwise the tests above would compare one thing with itself."""
    cell = Cell('composer', name, equality.MESHES[name][0])
    layout = equality.layout_of(cell)
    boxed = equality.jax.eval_shape(equality.recipe(cell, layout).init_params)
    places = equality.jax.tree.leaves(layout.state(boxed))
    split = [place for place in places if not place.is_fully_replicated]
    assert (len(split) > 10) == (name not in ('dp', 'sp'))


def test_the_measure_sees_one_wrong_leaf():
    gradient = equality.trained(Cell('composer', 'dp')).gradient
    name = next(name for name in gradient if 'conv_in' in name and 'kernel' in name)
    assert equality.worst(gradient | {name: 2 * gradient[name]}, gradient) > 1000
