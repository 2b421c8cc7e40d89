"""Retrieval: each finds itself, whatever its length, and the first of equals."""

import numpy as np
import pytest

from jen1composer.evaluation.retrieval import nearest


def vectors(count: int, width: int = 7) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, width)).astype(np.float32)


def test_each_finds_itself_whatever_its_length():
    keys = vectors(20)
    lengths = np.geomspace(0.01, 100, 20)[:, None]
    np.testing.assert_array_equal(nearest(keys * lengths, keys), np.arange(20))


def test_the_first_of_equals():
    keys = np.concatenate([vectors(3), 2 * vectors(3), vectors(3)])
    np.testing.assert_array_equal(nearest(vectors(3), keys), [0, 1, 2])
    assert nearest(np.zeros((1, 7)), keys) == 0


def test_the_angle_decides_not_the_distance():
    keys = np.array([[1.0, 1.0], [100.0, 1.0]])
    assert nearest(np.array([[1.0, 0.0]]), keys) == 1


@pytest.mark.parametrize(('queries', 'keys'), [((2, 3), (0, 3)), ((2, 3), (4, 2)), ((3,), (4, 3))])
def test_shapes_that_do_not_fit(queries, keys):
    with pytest.raises(ValueError, match='cannot look for'):
        nearest(np.ones(queries), np.ones(keys))
