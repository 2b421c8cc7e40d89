"""Cells: measured once for what decides them, and again where they are damaged."""

import pathlib

import numpy as np
import pytest
from etils import epath

from jen1composer.evaluation.cells import SOURCES, Cell, cell
from tests.test_arrows import imports

PACKAGE = pathlib.Path(__file__).parents[3] / 'jen1composer'
# What names what is measured, keeps it or hears: ears have a fingerprint of their own.
BESIDE = {'cells', 'embedder', 'sounds', 'systems'}


@pytest.fixture
def measured(tmp_path):
    """A cell by name and seed, and the list of what was measured for it."""
    calls = []

    def get(name, seed):
        def measure():
            calls.append((name, seed))
            return Cell([{'a': None, 'b': 0.1}], {'x': np.full((2, 3), seed, np.float32)})

        return cell(epath.Path(tmp_path), name, {'seed': seed}, measure)

    return get, calls


def test_a_cell_is_measured_once_and_another_beside_it(measured):
    get, calls = measured
    first, again = get('mix/a', 1), get('mix/a', 1)
    assert first.found == again.found == [{'a': None, 'b': 0.1}]
    np.testing.assert_array_equal(first.arrays['x'], again.arrays['x'])
    assert calls == [('mix/a', 1)]
    assert get('mix/a', 2).arrays['x'][0, 0] == 2
    assert get('mix/a', 1).arrays['x'][0, 0] == 1
    get('mix/b', 1)
    assert calls == [('mix/a', 1), ('mix/a', 2), ('mix/b', 1)]


def test_a_damaged_cell_is_measured_again(measured, tmp_path):
    get, calls = measured
    get('a', 1)
    (path,) = (tmp_path / 'cells').iterdir()
    whole = path.read_bytes()
    for damaged in (b'', whole[:40], whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert get('a', 1).arrays['x'][0, 0] == 1
    assert len(calls) == 4


def test_what_fails_leaves_nothing(tmp_path):
    def fail():
        raise RuntimeError('no')

    with pytest.raises(RuntimeError):
        cell(epath.Path(tmp_path), 'a', {}, fail)
    assert not list((tmp_path / 'cells').iterdir())


def test_all_that_measures_decides_what_is_known_and_tables_do_not():
    reached, left = set(), ['measuring', 'distances']
    while left:
        name = left.pop()
        reached.add(name)
        for _, imported in imports(PACKAGE / 'evaluation' / f'{name}.py'):
            top, _, rest = imported.partition('jen1composer.evaluation.')
            module = rest.split('.')[0]
            if rest and not top and module not in BESIDE | reached:
                left.append(module)
    decides = {source.removeprefix('evaluation/') for source in SOURCES if 'evaluation/' in source}
    assert decides == reached
    assert 'scores' not in reached
    assert all((PACKAGE / f'{source}.py').is_file() for source in SOURCES)
