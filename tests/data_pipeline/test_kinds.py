"""Kinds of tasks: realised shares are the set ones, and what is hidden is exactly what it says."""

import collections
import decimal
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.kinds import Kind, Kinds
from jen1composer.errors import BadInput

KINDS = Kinds(shares=(3, 2, 1), p_causal=0.4)
MODES = list(itertools.product(Kind, (False, True)))
PARTIAL = (Kind.INPAINTING, Kind.CONTINUATION)
BOTH = np.ones(2, bool)


def hole(hidden: np.ndarray) -> tuple[int, int]:
    """Length and start of the one stretch of True in `hidden`, `[frame]`."""
    places = np.flatnonzero(hidden)
    assert len(places) == places[-1] - places[0] + 1
    return len(places), int(places[0])


def holes(kinds, kind, num_frames, count):
    """Length and start in both of two targets, `[example, track, 2]`."""
    seen = [kinds.visible(kind, BOTH, num_frames, seed=2, index=i) for i in range(count)]
    return np.array([[hole(~row) for row in visible] for visible in seen])


def assert_uniform(counts, expected):
    """Chi-square within three standard deviations of its mean."""
    freedom = len(expected) - 1
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert chi_square < freedom + 3 * math.sqrt(2 * freedom)


@given(st.tuples(*[st.floats(0, 10)] * 3).filter(any), st.floats(0, 1))
def test_probabilities_sum_to_one_and_only_text_comes_in_both_modes(shares, p_causal):
    kinds = Kinds(shares=shares, p_causal=p_causal)
    np.testing.assert_allclose(sum(kinds.probability(*mode) for mode in MODES), 1)
    for kind in Kind:
        both = kinds.probability(kind, False) + kinds.probability(kind, True)
        np.testing.assert_allclose(both, kinds.share(kind), atol=1e-300)
    assert kinds.probability(Kind.INPAINTING, True) == 0
    assert kinds.probability(Kind.CONTINUATION, False) == 0


@pytest.mark.parametrize('slot', [None, 0, 5])
def test_realised_shares_are_within_three_sigma(slot):
    """Over all examples, and over the examples of one slot of a batch of eight."""
    indices = range(8000) if slot is None else range(slot, 8 * 4000, 8)
    seen = collections.Counter(KINDS.draw(1, i) for i in indices)
    for mode in MODES:
        p = KINDS.probability(*mode)
        share = seen[mode] / len(indices)
        assert abs(share - p) <= 3 * math.sqrt(p * (1 - p) / len(indices))


@pytest.mark.parametrize('kind', Kind)
def test_one_kind_alone(kind):
    for p_causal in (0.0, 1.0):
        only = KINDS.only(kind, p_causal)
        causal = {Kind.INPAINTING: False, Kind.CONTINUATION: True}.get(kind, bool(p_causal))
        assert {only.draw(0, i) for i in range(50)} == {(kind, causal)}
        assert only.hidden_lengths(10) == KINDS.hidden_lengths(10)


def test_text_in_both_directions_is_all_there_is_unless_told_otherwise():
    assert {Kinds().draw(0, i) for i in range(200)} == {(Kind.TEXT, False)}


@st.composite
def spans(draw):
    low, high = sorted(draw(st.tuples(*[st.integers(0, 100)] * 2)))
    return low / 100, high / 100


@given(st.integers(1, 400), spans(), st.sampled_from(PARTIAL), st.integers(0, 2**31 - 1))
def test_a_target_hides_one_stretch_of_an_allowed_length(num_frames, span, kind, seed):
    low, high = span
    kinds = Kinds(min_span=low, max_span=high)
    exactly = [decimal.Decimal(str(part)) * num_frames for part in span]
    allowed = [m for m in range(1, num_frames) if exactly[0] <= m <= exactly[1]]
    if not allowed:
        with pytest.raises(BadInput, match=f'window_frames: {num_frames}; allowed'):
            kinds.visible(kind, BOTH, num_frames, seed=seed, index=0)
        return
    assert list(kinds.hidden_lengths(num_frames)) == allowed
    is_target = np.array([True, False, True, True])
    for index in range(10):
        visible = kinds.visible(kind, is_target, num_frames, seed=seed, index=index)
        assert visible.shape == (4, num_frames)
        assert visible.dtype == bool
        assert not visible[~is_target].any()
        for row in visible[is_target]:
            length, start = hole(~row)
            assert length in allowed
            assert kind == Kind.INPAINTING or start + length == num_frames


@given(st.integers(5, 400))
def test_every_window_of_five_frames_and_more_has_room_for_the_usual_spans(num_frames):
    lengths = Kinds().hidden_lengths(num_frames)
    assert lengths.start == -(-num_frames // 5)
    assert lengths[-1] == 4 * num_frames // 5


def test_lengths_are_those_of_the_decimals_that_were_written():
    assert 0.28 * 25 > 7
    assert Kinds(min_span=0.28).hidden_lengths(25).start == 7
    assert 0.57 * 100 < 57
    assert Kinds(max_span=0.57).hidden_lengths(100)[-1] == 57


def test_text_shows_nothing():
    assert not Kinds().visible(Kind.TEXT, BOTH, 1, seed=0, index=0).any()


@pytest.mark.parametrize('shared_span', [0.0, 1.0])
def test_all_lengths_and_all_places_come_alike(shared_span):
    kinds = Kinds(shared_span=shared_span)
    for track in (0, 1):
        drawn = holes(kinds, Kind.INPAINTING, 10, 6000)[:, track]
        places = [(m, s) for m in range(2, 9) for s in range(10 - m + 1)]
        seen = collections.Counter(map(tuple, drawn.tolist()))
        assert set(seen) == set(places)
        assert_uniform(
            np.array([seen[place] for place in places]),
            np.array([len(drawn) / 7 / (10 - m + 1) for m, _ in places]),
        )
        ends = holes(kinds, Kind.CONTINUATION, 20, 3000)[:, track, 0]
        lengths = np.arange(4, 17)
        counts = (ends[:, None] == lengths).sum(axis=0)
        assert counts.sum() == len(ends)
        assert_uniform(counts, np.full(len(lengths), len(ends) / len(lengths)))


@pytest.mark.parametrize('shared_span', [0.0, 0.5, 1.0])
def test_targets_share_a_span_as_often_as_was_set(shared_span):
    drawn = holes(Kinds(shared_span=shared_span), Kind.INPAINTING, 50, 4000)
    alike = (drawn[:, 0] == drawn[:, 1]).all(axis=1).mean()
    by_chance = np.mean([1 / 31 / (50 - m + 1) for m in range(10, 41)])
    p = shared_span + (1 - shared_span) * by_chance
    assert abs(alike - p) <= 3 * math.sqrt(p * (1 - p) / len(drawn))
    if shared_span == 0:
        r = np.corrcoef(drawn[:, 0, 0], drawn[:, 1, 0])[0, 1]
        assert abs(r) < 3 / math.sqrt(len(drawn))


def test_a_draw_depends_on_seed_and_index_alone():
    first = [KINDS.draw(0, i) for i in range(200)]
    assert first == [KINDS.draw(0, i) for i in reversed(range(200))][::-1]
    assert first != [KINDS.draw(1, i) for i in range(200)]
    np.testing.assert_array_equal(
        holes(KINDS, Kind.INPAINTING, 30, 50), holes(KINDS, Kind.INPAINTING, 30, 60)[:50]
    )


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'shares': (1, 1)}, r'curriculum.kinds: \(1, 1\); allowed are shares of text, inpainting'),
        ({'shares': (0, 0, 0)}, 'not all 0'),
        ({'shares': (1, -1, 1)}, 'kinds'),
        ({'shares': (1, math.nan, 1)}, 'kinds'),
        ({'shares': (1, math.inf, 1)}, 'kinds'),
        ({'shares': ('1', 1, 1)}, 'kinds'),
        ({'shares': 1.0}, 'kinds: 1.0'),
        ({'p_causal': 1.5}, 'p_causal: 1.5; allowed is 0 to 1'),
        ({'p_causal': math.nan}, 'p_causal'),
        ({'shared_span': -0.1}, 'shared_span'),
        ({'min_span': '.2'}, 'min_span'),
        ({'max_span': True}, 'max_span'),
        ({'min_span': 0.9}, 'min_span: 0.9; allowed is up to max_span, 0.8'),
    ],
)
def test_what_makes_no_sense_is_refused(change, said):
    with pytest.raises(BadInput, match=said):
        Kinds(**change)


@pytest.mark.parametrize(
    ('shares', 'p_causal', 'expected'),
    [
        ((1, 0, 0), 0.0, False),
        ((1, 1, 0), 0.0, False),
        ((0, 1, 0), 0.5, False),
        ((1, 1, 0), 0.5, True),
        ((1, 0, 1), 0.0, True),
    ],
)
def test_causal_tasks_are_continuations_and_text_that_is_asked_to_be(shares, p_causal, expected):
    assert Kinds(shares=shares, p_causal=p_causal).any_causal == expected
