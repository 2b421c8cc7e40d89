"""What a training is really asked, over all its examples, by host and by slot of the batch.

Every cell is compared with what was set, in standard errors: of x_1 .. x_n with means m_i and
variances v_i, sum (x_i - m_i) / sqrt(sum v_i). Of 2,500 cells, the 900 over all examples, a stage
or a host may each be off by 4, which one in 16,000 is by chance, and the 1,600 of a single slot by
5: what is rare there is drawn a few times only, and such counts are skewed. Means and variances are
written out here, from the tables.
"""

import dataclasses
import math

import numpy as np
import pytest

from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kind, Kinds
from data_pipeline.order import Order, begun
from jen1composer.tracks import Role

TRACKS, STEPS, BATCH, HOSTS, FRAMES = 4, (150, 250), 16, 4, 20
ROWS = np.array([[3, 1, 0, 0], [1, 1, 1, 3]])  # of 4 and of 6
KINDS = np.array([3, 2, 1])  # of 6
P_GIVEN, P_CAUSAL = 0.6, 0.4
LENGTHS = np.arange(4, 17)  # 20 to 80 % of the frames
CURRICULUM = Curriculum(
    num_tracks=TRACKS,
    stages=tuple(
        Stage(steps=n, shares=tuple(row.tolist())) for n, row in zip(STEPS, ROWS, strict=True)
    ),
    p_given=P_GIVEN,
    kinds=Kinds(shares=tuple(KINDS.tolist()), p_causal=P_CAUSAL, shared_span=0.3),
)
SET = {
    'stepped': np.repeat(ROWS / ROWS.sum(axis=1, keepdims=True), STEPS, axis=0),  # [step, track]
    'linear': np.vstack(
        [np.tile([3 / 4, 1 / 4, 0, 0], (150, 1))]
        + [
            (1 - j / 250) * np.array([3 / 4, 1 / 4, 0, 0]) + j / 250 * ROWS[1] / 6
            for j in range(1, 251)
        ]
    ),
}


@dataclasses.dataclass(frozen=True)
class Drawn:
    """All tasks of a training, in the places where its hosts read them: `[step, slot, ...]`."""

    transition: str
    roles: np.ndarray  # [step, slot, track]
    visible: np.ndarray  # [step, slot, track, frame]
    causal: np.ndarray  # [step, slot]
    kind: np.ndarray  # [step, slot]: by what is shown


@pytest.fixture(scope='module', params=['stepped', 'linear'])
def drawn(request):
    curriculum = dataclasses.replace(CURRICULUM, transition=request.param)
    total_steps = curriculum.total_steps
    by_host = []
    for host in range(HOSTS):
        order = Order(
            seed=4, segments=begun(BATCH), total_steps=total_steps, host=host, hosts=HOSTS
        )
        indices = [i for step in range(total_steps) for i in order.indices(step)]
        by_host.append([curriculum.draw(4, i, i // BATCH, FRAMES) for i in indices])

    def placed(leaf):
        hosts = [np.stack([getattr(task, leaf) for task in tasks]) for tasks in by_host]
        return np.concatenate([h.reshape(total_steps, -1, *h.shape[1:]) for h in hosts], axis=1)

    roles, visible = placed('roles'), placed('visible')
    at_the_end = visible[..., -1].any(axis=2)
    shown = visible.any(axis=(2, 3))
    # The last frame of a target is always hidden in a continuation, and the first one never.
    at_the_beginning = (visible[..., 0] == (roles == Role.TARGET)).all(axis=2)
    continued = placed('causal') & shown & at_the_beginning & ~at_the_end
    kind = np.select([~shown, continued], [0, 2], 1)
    return Drawn(request.param, roles, visible, placed('causal'), kind)


def cells():
    """Indices of [step, slot] and the standard errors that what lies there may be off."""
    yield from ((cell, 4) for cell in (np.s_[:, :], np.s_[: STEPS[0], :], np.s_[STEPS[0] :, :]))
    of_host = BATCH // HOSTS
    yield from ((np.s_[:, h * of_host : (h + 1) * of_host], 4) for h in range(HOSTS))
    yield from ((np.s_[:, slot : slot + 1], 5) for slot in range(BATCH))


def assert_as_set(values, mean, variance):
    """All arguments `[step, slot]`, masked arrays where some are not of the kind looked at."""
    mean, variance = (np.broadcast_to(of_each, values.shape) for of_each in (mean, variance))
    looked_at = ~np.ma.getmaskarray(values)
    for cell, sigmas in cells():
        here = looked_at[cell]
        off = (np.ma.getdata(values)[cell] - mean[cell])[here].sum()
        error = math.sqrt(variance[cell][here].sum())
        assert abs(off) <= sigmas * error + 1e-9


def assert_share(happened, p):
    assert_as_set(happened, p, p * (1 - p))


def test_the_number_of_targets_is_as_set(drawn):
    counts = (drawn.roles == Role.TARGET).sum(axis=2)
    for k in range(TRACKS):
        assert_share(counts == k + 1, SET[drawn.transition][:, k : k + 1])


def test_every_track_is_as_often_a_target(drawn):
    p = SET[drawn.transition] @ np.arange(1, TRACKS + 1) / TRACKS
    for track in range(TRACKS):
        assert_share(drawn.roles[..., track] == Role.TARGET, p[:, None])


def test_the_other_tracks_are_given_as_often_as_was_set(drawn):
    for track in range(TRACKS):
        roles = drawn.roles[..., track]
        others = np.ma.masked_array(roles == Role.CONDITION, mask=roles == Role.TARGET)
        assert_share(others, np.array(P_GIVEN))


def test_kinds_and_directions_are_as_set(drawn):
    for kind, p in enumerate(KINDS / 6):
        assert_share(drawn.kind == kind, p)
        of_kind = np.ma.masked_array(drawn.causal, mask=drawn.kind != kind)
        assert_share(of_kind, np.array((P_CAUSAL, 0.0, 1.0)[kind]))


def test_kinds_and_numbers_of_targets_are_drawn_apart(drawn):
    counts = (drawn.roles == Role.TARGET).sum(axis=2)
    for kind, p in enumerate(KINDS / 6):
        for k in range(TRACKS):
            both = (drawn.kind == kind) & (counts == k + 1)
            assert_share(both, p * SET[drawn.transition][:, k : k + 1])


@pytest.mark.parametrize('kind', [Kind.INPAINTING, Kind.CONTINUATION])
def test_lengths_of_spans_are_uniform(drawn, kind):
    """By their mean and variance, and over all by each length; of every target by itself."""
    other_kind = drawn.kind != list(Kind).index(kind)
    deviations = LENGTHS - LENGTHS.mean()
    variance = np.mean(deviations**2)
    for track in range(TRACKS):
        mask = other_kind | (drawn.roles[..., track] != Role.TARGET)
        hidden = np.ma.masked_array((~drawn.visible[..., track, :]).sum(axis=2), mask=mask)
        assert_as_set(hidden, LENGTHS.mean(), variance)
        assert_as_set(
            (hidden - LENGTHS.mean()) ** 2, variance, np.mean(deviations**4) - variance**2
        )
        counts = (hidden[~mask][:, None] == LENGTHS).sum(axis=0)
        p = 1 / len(LENGTHS)
        assert counts.sum() == (~mask).sum()
        assert np.abs(counts - counts.sum() * p).max() <= 4 * math.sqrt(counts.sum() * p * (1 - p))


def test_holes_begin_anywhere_alike(drawn):
    """The start s of a hole of m frames is uniform on 0 .. n - m."""
    for track in range(TRACKS):
        mask = (drawn.kind != 1) | (drawn.roles[..., track] != Role.TARGET)
        hidden = ~drawn.visible[..., track, :]
        start = np.ma.masked_array(hidden.argmax(axis=2), mask=mask)
        room = FRAMES - hidden.sum(axis=2)
        assert_as_set(start, room / 2, room * (room + 2) / 12)


def test_the_bounds_would_notice():
    """One example in ten that is not as set is too many, and so is one slot that draws nothing."""
    wrong = np.zeros((sum(STEPS), BATCH), bool)
    wrong[::10] = True
    with pytest.raises(AssertionError):
        assert_share(wrong, np.array(0.0))
    fair = np.random.default_rng(0).random(wrong.shape) < 0.5
    assert_share(fair, np.array(0.5))
    fair[:, 5] = False
    with pytest.raises(AssertionError):
        assert_share(fair, np.array(0.5))
