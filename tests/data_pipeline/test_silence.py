"""Silent targets: whose place they give up, and that it is a function of (seed, i)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.silence import Silence
from jen1composer.diffusion.batch import Task
from jen1composer.errors import BadInput
from jen1composer.tracks import Role

FRAMES, NOTHING = 6, np.array([3.0, -4.0], np.float32)
T, G, M = int(Role.TARGET), int(Role.CONDITION), int(Role.MARGINAL)


def latents(silent_frames):
    """Of each track as many frames of silence, or nearly, at the end."""
    x = np.ones((len(silent_frames), FRAMES, 2), np.float32)
    for track, count in enumerate(silent_frames):
        x[track, FRAMES - count :] = NOTHING + 0.1
    return x


def task(*roles):
    targets = np.array(roles)[:, None] == T
    spans = np.arange(FRAMES) <= np.arange(len(roles))[:, None]  # another for every track
    return Task(
        roles=np.array(roles, np.int32),
        visible=targets & spans,
        causal=np.array(False),
    )


def asked(keep, roles, silent_frames, index=0):
    silence = Silence(latent=NOTHING, keep=keep)
    return silence.seldom_asked(task(*roles), latents(silent_frames), 3, index)


def test_a_track_is_silent_that_is_so_for_more_than_half_of_the_window():
    assert Silence(latent=NOTHING, keep=0).tracks(latents([0, 3, 4, 6])).tolist() == [0, 0, 1, 1]


def test_a_silent_target_exchanges_its_role_and_its_span_with_a_track_that_sounds():
    found = asked(0.0, (T, G, M, G), [6, 0, 6, 6])
    assert found.roles.tolist() == [G, T, M, G]
    np.testing.assert_array_equal(found.visible, task(T, G, M, G).visible[[1, 0, 2, 3]])
    assert found.roles.dtype == np.int32


def test_a_silent_target_is_marginalised_and_shows_nothing_where_no_other_sounds():
    found = asked(0.0, (T, T, G, M), [0, 6, 6, 6])
    assert found.roles.tolist() == [T, M, G, M]
    assert found.visible.any(axis=1).tolist() == [True, False, False, False]


def test_where_nothing_sounds_the_task_stays():
    assert asked(0.0, (T, T, G, M), [6, 6, 6, 6]).roles.tolist() == [T, T, G, M]


@given(
    roles=st.lists(st.sampled_from([T, G, M]), min_size=4, max_size=4).filter(lambda r: T in r),
    silent=st.lists(st.integers(0, FRAMES), min_size=4, max_size=4),
    index=st.integers(0, 1000),
)
def test_as_many_are_asked_for_as_sound_and_none_that_is_silent(roles, silent, index):
    quiet = np.array(silent) > FRAMES / 2
    before, found = task(*roles), asked(0.0, roles, silent, index)
    wanted = found.roles == T
    if quiet.all():
        np.testing.assert_array_equal(found.roles, before.roles)
    else:
        assert not (wanted & quiet).any()
        assert wanted.sum() == min(np.sum(before.roles == T), (~quiet).sum())
    stays = (before.roles == T) & ~quiet
    assert wanted[stays].all()
    np.testing.assert_array_equal(found.visible[stays], before.visible[stays])
    assert (found.visible.any(axis=1) <= wanted).all()
    assert (found.roles == G).sum() == np.sum(before.roles == G)
    np.testing.assert_array_equal(found.roles, asked(0.0, roles, silent, index).roles)


@given(
    roles=st.lists(st.sampled_from([T, G, M]), min_size=4, max_size=4).filter(lambda r: T in r),
    silent=st.lists(st.integers(0, FRAMES), min_size=4, max_size=4),
    index=st.integers(0, 1000),
)
def test_with_odds_of_one_nothing_changes(roles, silent, index):
    before, found = task(*roles), asked(1.0, roles, silent, index)
    np.testing.assert_array_equal(found.roles, before.roles)
    np.testing.assert_array_equal(found.visible, before.visible)


def test_as_many_stay_as_are_to_be_kept_and_each_that_sounds_comes_in():
    found = [asked(0.25, (G, T, G, M), [0, 6, 0, 0], index).roles == T for index in range(4000)]
    assert np.mean(found, axis=0) == pytest.approx([0.25, 0.25, 0.25, 0.25], abs=0.03)


def test_each_is_drawn_for_by_itself():
    found = [asked(0.5, (T, T, G, G), [6, 6, 0, 0], index).roles[:2] == T for index in range(2000)]
    assert np.mean(np.all(found, axis=1)) == pytest.approx(0.25, abs=0.04)


def test_odds_are_odds():
    with pytest.raises(BadInput, match=r'curriculum\.silent_targets: 1\.5; allowed is 0 to 1'):
        dataclasses.replace(Silence(latent=NOTHING, keep=1), keep=1.5)
