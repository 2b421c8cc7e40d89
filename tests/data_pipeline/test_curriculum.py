"""The curriculum: realised shares are the set ones, and every draw stands alone."""

import collections
import dataclasses
import hashlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kind, Kinds
from jen1composer.errors import BadInput
from jen1composer.tracks import Role

CURRICULUM = Curriculum(
    num_tracks=4,
    stages=(Stage(steps=10, max_targets=1), Stage(steps=10, max_targets=4)),
    p_given=0.6,
    kinds=Kinds(shares=(1, 1, 1), p_causal=0.5),
)
TEXT_ALONE = dataclasses.replace(CURRICULUM, kinds=Kinds())
ALL_ROLES = list(itertools.product(list(Role), repeat=4))


@given(st.integers(1, 8), st.data())
def test_the_probabilities_of_all_tasks_sum_to_one(num_tracks, data):
    most = data.draw(st.integers(1, num_tracks))
    stage = Stage(steps=1, max_targets=most)
    odds = data.draw(st.floats(0, 1))
    curriculum = Curriculum(num_tracks=num_tracks, stages=(stage,), p_given=odds)
    np.testing.assert_allclose(curriculum.target_count_weights(0).sum(), 1)
    if num_tracks <= 5:
        tasks = itertools.product(list(Role), repeat=num_tracks)
        total = sum(curriculum.probability(roles, 0) for roles in tasks)
        np.testing.assert_allclose(total, 1)


@pytest.mark.parametrize('stage', [0, 1])
def test_the_probabilities_of_all_tasks_of_all_kinds_sum_to_one(stage):
    by_roles = [
        [CURRICULUM.probability(roles, stage, kind) for kind in Kind] for roles in ALL_ROLES
    ]
    np.testing.assert_allclose(np.sum(by_roles), 1)
    np.testing.assert_allclose(
        np.sum(by_roles, axis=1), [CURRICULUM.probability(roles, stage) for roles in ALL_ROLES]
    )


def test_the_newest_number_of_targets_has_half_and_the_earlier_ones_share_the_rest():
    np.testing.assert_allclose(CURRICULUM.target_count_weights(0), [1, 0, 0, 0])
    np.testing.assert_allclose(CURRICULUM.target_count_weights(1), [1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_stages_follow_each_other_and_the_last_one_stays():
    assert [CURRICULUM.stage_at(step) for step in (0, 9, 10, 19, 20, 1000)] == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize('stage', [0, 1])
@pytest.mark.parametrize('slot', [None, 0, 5])
def test_realised_shares_are_within_three_sigma(stage, slot):
    """Over all examples, and over the examples of one slot of a batch of eight."""
    indices = range(8000) if slot is None else range(slot, 8 * 4000, 8)
    drawn = [tuple(CURRICULUM.draw_roles(1, i, 10 * stage).tolist()) for i in indices]
    seen = collections.Counter(drawn)
    for roles in ALL_ROLES:
        p = CURRICULUM.probability(roles, stage)
        sigma = math.sqrt(p * (1 - p) / len(drawn))
        # 65 tasks are looked at, so 3 sigma for the sums below and 4 for a single task.
        assert abs(seen[roles] / len(drawn) - p) <= 4 * sigma
    for count, p in enumerate(CURRICULUM.target_count_weights(stage), start=1):
        share = np.mean([roles.count(Role.TARGET) == count for roles in drawn])
        assert abs(share - p) <= 3 * math.sqrt(p * (1 - p) / len(drawn))
    others = [role for roles in drawn for role in roles if role != Role.TARGET]
    share = np.mean([role == Role.CONDITION for role in others])
    assert abs(share - 0.6) <= 3 * math.sqrt(0.6 * 0.4 / len(others))


def test_neighbouring_examples_and_slots_draw_independently():
    """The number of targets of example i says nothing of that of i + 1 or i + 8."""
    counts = np.array([np.sum(CURRICULUM.draw_roles(0, i, 10) == Role.TARGET) for i in range(6000)])
    for lag in (1, 8, 16):
        r = np.corrcoef(counts[:-lag], counts[lag:])[0, 1]
        assert abs(r) < 3 / math.sqrt(len(counts) - lag)


def test_a_draw_depends_on_seed_index_and_stage_alone():
    first = [CURRICULUM.draw_roles(0, i, 15) for i in range(200)]
    again = [CURRICULUM.draw_roles(0, i, 19) for i in reversed(range(200))][::-1]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, [CURRICULUM.draw_roles(1, i, 15) for i in range(200)])


def test_roles_are_those_that_were_always_drawn():
    """A change here would give every run that is resumed other tasks."""
    drawn = [
        CURRICULUM.draw_roles(seed, index, step)
        for seed in (0, 7, 2**31 - 1)
        for index in (*range(300), 2**32 - 1)
        for step in (0, 15)
    ]
    digest = hashlib.sha256(np.stack(drawn).astype('<i4').tobytes()).hexdigest()
    assert digest.startswith('9e4cba6009729edd68d584d2b00dea05')


def test_roles_are_the_same_whatever_the_kinds_and_the_length():
    for i in range(100):
        roles = TEXT_ALONE.draw(3, i, 15, 8).roles
        np.testing.assert_array_equal(CURRICULUM.draw(3, i, 15, 30).roles, roles)


def test_text_alone_shows_nothing_in_either_direction():
    for i in range(100):
        task = TEXT_ALONE.draw(3, i, 15, 8)
        assert task.visible.shape == (4, 8)
        assert not task.visible.any()
        assert not task.causal


def test_a_task_shows_targets_alone_by_its_kind():
    for i in range(300):
        task = CURRICULUM.draw(3, i, 15, 20)
        kind, causal = CURRICULUM.kinds.draw(3, i)
        assert task.causal == causal
        of_targets = task.visible[task.roles == Role.TARGET]
        assert of_targets.any(axis=1).all() == (kind != Kind.TEXT)
        assert not of_targets.all(axis=1).any()
        assert not task.visible[task.roles != Role.TARGET].any()


def test_kinds_and_roles_are_drawn_apart():
    """Every number of targets sees every kind, and given tracks, in the same shares."""
    drawn = [
        (CURRICULUM.draw(1, i, 15, 10).roles, CURRICULUM.kinds.draw(1, i)) for i in range(6000)
    ]
    for kind in Kind:
        of_kind = np.array([roles for roles, (k, _) in drawn if k == kind])
        counts = (of_kind == Role.TARGET).sum(axis=1)
        for count, p in enumerate(CURRICULUM.target_count_weights(1), start=1):
            sigma = math.sqrt(p * (1 - p) / len(counts))
            assert abs(np.mean(counts == count) - p) <= 3 * sigma
        others = of_kind[of_kind != Role.TARGET]
        share = np.mean(others == Role.CONDITION)
        assert abs(share - 0.6) <= 3 * math.sqrt(0.6 * 0.4 / len(others))


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'stages': ()}, 'stages'),
        ({'stages': (Stage(steps=1, max_targets=5),)}, '1 to 4 targets'),
        ({'stages': (Stage(steps=0, max_targets=1),)}, '1 or more steps'),
        ({'p_given': 1.5}, 'p_given: 1.5'),
    ],
)
def test_what_makes_no_sense_is_refused(change, said):
    settings = {'num_tracks': 4, 'stages': (Stage(steps=1, max_targets=1),)} | change
    with pytest.raises(BadInput, match=said):
        Curriculum(**settings)
