"""Who is heard beside whom: every task once, and strangers that are strangers."""

import collections
import itertools

import hypothesis
import pytest
from hypothesis import strategies as st

from jen1composer.evaluation import systems
from jen1composer.tracks import TRACKS


def splits(tasks):
    return {(frozenset(task.targets), frozenset(task.given)) for task in tasks}


@pytest.mark.parametrize('num_tracks', [2, 3, 4])
def test_with_subsets_every_split_into_given_and_made_is_a_task_once(num_tracks):
    tracks = TRACKS[:num_tracks]
    tasks = systems.tasks(tracks, subsets=True)
    mixed = [task for task in tasks if task.given]
    assert len(splits(mixed)) == len(mixed) == 2**num_tracks - 2
    assert all({*task.targets, *task.given} == {*tracks} for task in mixed)
    made = collections.Counter((task.system, track) for task in tasks for track in task.targets)
    assert set(made.values()) == {1}  # no stem is made twice


def test_a_mix_takes_given_tracks_from_the_song_and_the_others_from_one_system():
    for mix in systems.mixes(TRACKS, subsets=True):
        assert tuple(mix.sources) == TRACKS
        others = {*mix.sources.values()} - {systems.ORIGINAL}
        assert others <= {mix.name.partition('/')[0]}
    names = [mix.name for mix in systems.mixes(TRACKS, subsets=True)]
    assert len(set(names)) == len(names)


@hypothesis.given(
    songs=st.lists(st.sampled_from('abcdef'), min_size=2, max_size=20).filter(
        lambda songs: len(set(songs)) > 1
    ),
    num_tracks=st.integers(1, 4),
)
def test_strangers_are_of_other_songs_and_of_as_many_as_there_are(songs, num_tracks):
    for number, others in enumerate(systems.strangers(songs, num_tracks)):
        of = [songs[other] for other in others]
        assert songs[number] not in of
        assert len(set(of)) == min(num_tracks, len(set(songs)) - 1)


def test_every_song_is_taken_equally_often():
    songs = list(itertools.chain.from_iterable([song] * 3 for song in 'abcde'))
    taken = collections.Counter(
        songs[other] for others in systems.strangers(songs, 4) for other in others
    )
    assert set(taken.values()) == {12}


def test_one_song_has_no_stranger():
    with pytest.raises(ValueError, match='one song'):
        systems.strangers(['a', 'a'], 4)
