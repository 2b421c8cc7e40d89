"""Tracks and tasks: every set of targets has one id and one prefix, and back."""

import hypothesis
import pytest
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.tracks import (
    TRACKS,
    Role,
    parse_tracks,
    task_id,
    task_prefix,
)
from tests import gaussian


def test_the_paper_s_prefix():
    assert task_prefix(TRACKS, 0b0011) == '[bass & drums generation]'
    assert task_prefix(TRACKS, 0b1000) == '[melody generation]'


def test_ids_name_the_targets_and_only_them():
    ids = {task_id(roles) for roles in gaussian.all_roles()}
    assert ids == set(range(1, 16))
    assert len({task_prefix(TRACKS, task) for task in ids}) == 15
    for roles in gaussian.all_roles():
        prefix = task_prefix(TRACKS, task_id(roles))
        assert [name in prefix for name in TRACKS] == [role == Role.TARGET for role in roles]


@pytest.mark.parametrize('task', [-1, 0, 16])
def test_a_task_without_targets_or_beyond_the_tracks_is_refused(task):
    with pytest.raises(BadInput, match=rf'task id: {task}; allowed is 1 to 15'):
        task_prefix(TRACKS, task)


@hypothesis.given(st.lists(st.sampled_from(TRACKS), unique=True))
def test_names_are_read_in_any_order_and_given_back_in_one(names):
    spoken = [f' {name} ' for name in names] + ['']
    assert parse_tracks('--targets', spoken, TRACKS) == tuple(k for k in TRACKS if k in names)


def test_an_unknown_name_is_refused_with_the_flag_and_what_is_allowed():
    with pytest.raises(BadInput, match="--targets: unknown track 'flute'; allowed are bass, drums"):
        parse_tracks('--targets', ['bass', 'flute'], TRACKS)
