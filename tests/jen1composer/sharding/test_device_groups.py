"""Groups of devices: each form in which HLO writes them comes to the same lists."""

import itertools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from jen1composer.sharding.device_groups import axes_of, crossed_by, read_groups, read_pairs

MESH = {'data': 2, 'fsdp': 1, 'tensor': 4}
ROWS = [[0, 1, 2, 3], [4, 5, 6, 7]]  # along tensor
COLUMNS = [[0, 4], [1, 5], [2, 6], [3, 7]]  # along data


@pytest.mark.parametrize(
    ('text', 'groups'),
    [
        ('replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}', ROWS),
        ('replica_groups={{0,4},{1,5},{2,6},{3,7}}, to_apply=%add', COLUMNS),
        ('replica_groups={}, to_apply=%add', [list(range(8))]),
        ('channel_id=1, to_apply=%add', [list(range(8))]),
        ('replica_groups=[2,4]<=[8], dimensions={0}', ROWS),
        ('replica_groups=[4,2]<=[2,4]T(1,0), dimensions={0}', COLUMNS),
        ('replica_groups=[2,4]<=[4,2]T(1,0), to_apply=%add', [[0, 2, 4, 6], [1, 3, 5, 7]]),
        ("replica_groups=mesh['a'=2,'b'=4] {'b'}, dimensions={1}", ROWS),
        ("replica_groups=mesh['a'=2,'b'=4] {'a'}, to_apply=%add", COLUMNS),
        ("replica_groups=mesh['a'=2,'b'=4] {'a','b'}", [list(range(8))]),
        # The mesh of the compiler, in another order of the same devices.
        (
            "replica_groups=mesh['axis_0'=1,'axis_1'=4,'axis_2'=1,'axis_3'=2], "
            "device_ids=([2,4]T(1,0)) {'axis_1'}, dimensions={1}",
            ROWS,
        ),
        ("replica_groups=mesh['a'=4,'b'=2], device_ids=([2,4]T(1,0)) {'b'}", COLUMNS),
        # Part of an axis: b read as 2 x 2.
        ("replica_groups=mesh['a'=2,'b'=4] {'b':(1)2}", [[0, 2], [1, 3], [4, 6], [5, 7]]),
        ("replica_groups=mesh['a'=2,'b'=4] {'b':(2)2}", [[0, 1], [2, 3], [4, 5], [6, 7]]),
    ],
)
def test_every_form_is_read(text, groups):
    assert sorted(read_groups(text, 8)) == groups


def test_a_form_that_is_not_known_is_not_guessed():
    with pytest.raises(ValueError, match='replica_groups=other'):
        read_groups('replica_groups=other(8)', 8)
    with pytest.raises(ValueError, match='pairs'):
        read_pairs('channel_id=1')


@given(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=4), st.data())
def test_rows_of_a_mesh_are_told_by_their_axes(sizes, data):
    mesh = {f'axis_{k}': size for k, size in enumerate(sizes)}
    chosen = data.draw(st.lists(st.sampled_from(list(mesh)), min_size=1, unique=True))
    inside = ','.join(f"'{axis}'={size}" for axis, size in mesh.items())
    names = ','.join(f"'{axis}'" for axis in chosen)
    groups = read_groups(f'replica_groups=mesh[{inside}] {{{names}}}', 0)
    assert sorted(itertools.chain(*groups)) == list(range(math.prod(sizes)))
    larger = tuple(axis for axis, size in mesh.items() if size > 1 and axis in chosen)
    assert axes_of(groups, mesh) == larger


def test_groups_that_are_no_rows_have_no_axes():
    assert axes_of(ROWS, MESH) == ('tensor',)
    assert axes_of(COLUMNS, MESH) == ('data',)
    assert axes_of([list(range(8))], MESH) == ('data', 'tensor')
    assert axes_of([[0, 5], [1, 4]], MESH) is None  # diagonal
    assert axes_of([[0, 1], [2, 3]], MESH) is None  # half a row


def test_a_permutation_is_told_by_what_it_crosses():
    shift = [[i, (i + 4) % 8] for i in range(8)]
    text = ','.join(f'{{{a},{b}}}' for a, b in shift)
    assert read_pairs(f'channel_id=2, source_target_pairs={{{text}}}') == shift
    assert crossed_by(shift, MESH) == ('data',)
    assert crossed_by(np.array([[0, 1], [1, 0]]).tolist(), MESH) == ('tensor',)
    assert crossed_by([[3, 3]], MESH) == ()
