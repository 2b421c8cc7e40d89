"""The curriculum: weights are those of the table, and every draw stands alone."""

import dataclasses
import hashlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.curriculum import Curriculum, Stage, Transition
from data_pipeline.kinds import Kind, Kinds
from jen1composer.errors import BadInput
from jen1composer.tracks import Role

CURRICULUM = Curriculum(
    num_tracks=4,
    stages=(Stage(steps=10, shares=(1, 0, 0, 0)), Stage(steps=10, shares=(1, 1, 1, 3))),
    p_given=0.6,
    kinds=Kinds(shares=(1, 1, 1), p_causal=0.5),
)
LINEAR = dataclasses.replace(CURRICULUM, transition='linear')
TEXT_ALONE = dataclasses.replace(CURRICULUM, kinds=Kinds())
ALL_ROLES = list(itertools.product(list(Role), repeat=4))


@st.composite
def curricula(draw, most_tracks=8):
    """Any table, in either transition."""
    num_tracks = draw(st.integers(1, most_tracks))
    rows = st.tuples(*[st.floats(0, 1e6)] * num_tracks).filter(any)
    stage = st.builds(Stage, steps=st.integers(1, 20), shares=rows)
    return Curriculum(
        num_tracks=num_tracks,
        stages=tuple(draw(st.lists(stage, min_size=1, max_size=4))),
        transition=draw(st.sampled_from(Transition)),
        p_given=draw(st.floats(0, 1)),
    )


def rows_of(curriculum):
    """The table, each row divided by its sum, `[stage, track]`."""
    rows = np.array([stage.shares for stage in curriculum.stages], float)
    return rows / rows.sum(axis=1, keepdims=True)


def weights_by_stage(curriculum):
    """The weights of every step, an array `[step, track]` for each stage."""
    every = [curriculum.target_count_weights(step) for step in range(curriculum.total_steps)]
    ends = np.cumsum([stage.steps for stage in curriculum.stages])
    return np.split(np.array(every), ends[:-1])


@given(curricula(most_tracks=4), st.integers(0, 100))
def test_the_probabilities_of_all_tasks_sum_to_one(curriculum, step):
    tasks = itertools.product(list(Role), repeat=curriculum.num_tracks)
    by_count = np.zeros(curriculum.num_tracks + 1)
    for roles in tasks:
        by_count[roles.count(Role.TARGET)] += curriculum.probability(roles, step)
    np.testing.assert_allclose(by_count.sum(), 1)
    np.testing.assert_allclose(by_count[1:], curriculum.target_count_weights(step), atol=1e-12)


@pytest.mark.parametrize('curriculum', [CURRICULUM, LINEAR])
@pytest.mark.parametrize('step', [0, 10, 13, 19])
def test_the_probabilities_of_all_tasks_of_all_kinds_sum_to_one(curriculum, step):
    by_roles = [[curriculum.probability(roles, step, kind) for kind in Kind] for roles in ALL_ROLES]
    np.testing.assert_allclose(np.sum(by_roles), 1)
    np.testing.assert_allclose(
        np.sum(by_roles, axis=1), [curriculum.probability(roles, step) for roles in ALL_ROLES]
    )


@given(curricula())
def test_a_stepped_stage_has_its_row_throughout(curriculum):
    stepped = dataclasses.replace(curriculum, transition='stepped')
    for row, weights in zip(rows_of(stepped), weights_by_stage(stepped), strict=True):
        np.testing.assert_allclose(
            weights, np.tile(row, (len(weights), 1)), rtol=1e-14, atol=1e-300
        )


@given(curricula())
def test_a_linear_stage_goes_from_the_row_before_to_its_own_in_equal_moves(curriculum):
    linear = dataclasses.replace(curriculum, transition='linear')
    rows, stages = rows_of(linear), weights_by_stage(linear)
    np.testing.assert_allclose(
        stages[0], np.tile(rows[0], (len(stages[0]), 1)), rtol=1e-14, atol=1e-300
    )
    for (before, row), weights in zip(itertools.pairwise(rows), stages[1:], strict=True):
        n = len(weights)
        moves = np.diff(np.vstack([before, weights]), axis=0)
        np.testing.assert_allclose(moves, np.tile((row - before) / n, (n, 1)), atol=1e-14)
        of_row = (n + 1) / (2 * n)  # the mean of (j + 1) / n over j = 0 .. n - 1
        np.testing.assert_allclose(
            weights.mean(axis=0), (1 - of_row) * before + of_row * row, atol=1e-14
        )


@given(curricula(), st.integers(0, 100))
def test_the_last_row_stays_whatever_the_transition(curriculum, steps_later):
    last = dataclasses.replace(curriculum, transition='stepped').target_count_weights(10**6)
    step = curriculum.total_steps - 1 + steps_later
    np.testing.assert_array_equal(curriculum.target_count_weights(step), last)
    assert curriculum.stage_at(step) == len(curriculum.stages) - 1


@given(curricula(), st.floats(1e-6, 1e6), st.integers(0, 100))
def test_a_row_times_a_constant_is_the_same_row(curriculum, constant, step):
    scaled = dataclasses.replace(
        curriculum,
        stages=tuple(
            dataclasses.replace(
                stage, shares=tuple(share * constant**number for share in stage.shares)
            )
            for number, stage in enumerate(curriculum.stages)
        ),
    )
    np.testing.assert_allclose(
        scaled.target_count_weights(step), curriculum.target_count_weights(step), atol=1e-14
    )
    for index in range(5):
        np.testing.assert_array_equal(
            scaled.draw_roles(0, index, step), curriculum.draw_roles(0, index, step)
        )


@given(curricula(), st.integers(0, 100), st.integers(0, 2**31 - 1))
def test_what_has_no_share_is_never_drawn(curriculum, step, seed):
    can_happen = curriculum.target_count_weights(step) > 0
    for index in range(20):
        assert can_happen[(curriculum.draw_roles(seed, index, step) == Role.TARGET).sum() - 1]


def test_stages_follow_each_other_and_the_last_one_stays():
    steps = (0, 9, 10, 19, 20, 1000)
    assert [CURRICULUM.stage_at(step) for step in steps] == [0, 0, 1, 1, 1, 1]
    assert CURRICULUM.total_steps == 20


def test_neighbouring_examples_and_slots_draw_independently():
    """The number of targets of example i says nothing of that of i + 1 or i + 8."""
    counts = np.array([np.sum(CURRICULUM.draw_roles(0, i, 10) == Role.TARGET) for i in range(6000)])
    for lag in (1, 8, 16):
        r = np.corrcoef(counts[:-lag], counts[lag:])[0, 1]
        assert abs(r) < 3 / math.sqrt(len(counts) - lag)


def test_a_draw_depends_on_seed_index_and_weights_alone():
    first = [CURRICULUM.draw_roles(0, i, 15) for i in range(200)]
    again = [CURRICULUM.draw_roles(0, i, 19) for i in reversed(range(200))][::-1]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, [LINEAR.draw_roles(0, i, 19) for i in range(200)])
    assert not np.array_equal(first, [CURRICULUM.draw_roles(1, i, 15) for i in range(200)])
    assert not np.array_equal(first, [LINEAR.draw_roles(0, i, 10) for i in range(200)])


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
    even = dataclasses.replace(CURRICULUM, p_given=0.5)
    assert [even.draw_roles(0, i, 15).tolist() for i in range(5)] == [
        [1, 0, 2, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
        [1, 0, 0, 0],
    ]


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


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'stages': ()}, r'curriculum.stages: \(\); allowed is one or more'),
        ({'steps': 0}, 'curriculum.stage_steps: 0; allowed are whole numbers of 1 or more'),
        ({'steps': 1.5}, 'curriculum.stage_steps: 1.5'),
        ({'steps': True}, 'curriculum.stage_steps: True'),
        ({'shares': (1, 1, 1)}, r'target_shares: \(1, 1, 1\); allowed are rows of one .* 1 to 4,'),
        ({'shares': (1, 1, 1, 1, 1)}, 'curriculum.target_shares'),
        ({'shares': (0, 0, 0, 0)}, 'curriculum.target_shares.*not all 0'),
        ({'shares': (1, -1, 1, 1)}, 'curriculum.target_shares'),
        ({'shares': (1, math.nan, 1, 1)}, 'curriculum.target_shares'),
        ({'shares': (1, math.inf, 1, 1)}, 'curriculum.target_shares'),
        ({'shares': ('1', 1, 1, 1)}, 'curriculum.target_shares'),
        ({'shares': 4}, 'curriculum.target_shares: 4'),
        ({'transition': 'cubic'}, "transition: 'cubic'; allowed are stepped, linear"),
        ({'transition': None}, 'curriculum.transition: None'),
        ({'p_given': 1.5}, 'curriculum.p_given: 1.5; allowed is 0 to 1'),
        ({'p_given': math.nan}, 'curriculum.p_given'),
        ({'p_given': '.5'}, 'curriculum.p_given'),
    ],
)
def test_what_makes_no_sense_is_refused(change, said):
    stage = {'steps': 1, 'shares': (1, 0, 0, 0)}
    of_stage = {name: value for name, value in change.items() if name in stage}
    settings = {'stages': (Stage(**stage), Stage(**(stage | of_stage)))} | change
    for name in of_stage:
        del settings[name]
    with pytest.raises(BadInput, match=said) as refused:
        Curriculum(num_tracks=4, **settings)
    assert '\n' not in str(refused.value)
