"""Splits: by song, by the data set's word where it has one, else by a hash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.dataset import SPLITS
from data_pipeline.sources.source import Entry
from data_pipeline.splits import split_songs
from jen1composer.tracks import TRACKS


def entries(num_full: int, num_partial: int = 0, split: str = '') -> list[Entry]:
    return [
        Entry(
            id=f'song-{split}{k}',
            title='',
            where='',
            tracks=TRACKS[: 4 - (k >= num_full)],
            split=split,
        )
        for k in range(num_full + num_partial)
    ]


@pytest.mark.parametrize('num_songs', range(1, 30))
def test_splits_cover_all_songs_once(num_songs: int):
    splits = split_songs(entries(num_songs))
    counts = [list(splits.values()).count(split) for split in SPLITS]
    assert sum(counts) == num_songs
    assert counts[1] == counts[2] == (max(1, round(num_songs / 6)) if num_songs >= 3 else 0)
    assert splits == split_songs(entries(num_songs)[::-1])


def test_held_out_songs_have_all_tracks():
    splits = split_songs(entries(4, 8))
    assert {splits[f'song-{k}'] for k in range(4)} == {'validation', 'test'}


def test_a_named_split_is_kept_and_a_missing_one_taken_from_training():
    songs = [*entries(12, split='train'), *entries(6, split='test')]
    splits = split_songs(songs)
    assert all(splits[song.id] == 'test' for song in songs if song.split == 'test')
    assert list(splits.values()).count('validation') == 3
    assert list(splits.values()).count('train') == 9
    assert {splits[song.id] for song in songs if song.split == 'train'} == {'train', 'validation'}


def test_all_named_splits_are_left_alone():
    songs = [s for split in SPLITS for s in entries(3, split=split)]
    assert split_songs(songs) == {song.id: song.split for song in songs}


def test_the_last_training_song_is_never_taken():
    songs = [*entries(1, split='train'), *entries(2, split='test')]
    assert list(split_songs(songs).values()) == ['train', 'test', 'test']


def test_nothing_is_held_out_where_nothing_is_asked_for():
    assert set(split_songs(entries(20), held_out=0.0).values()) == {'train'}


@given(
    st.lists(st.tuples(st.sampled_from(['', *SPLITS]), st.booleans()), max_size=30),
    st.floats(0, 1 / 3),
)
def test_every_song_has_a_split_and_named_held_out_ones_keep_theirs(songs, held_out):
    made = [
        Entry(id=f's{k}', title='', where='', split=split, tracks=TRACKS[: 4 - partial])
        for k, (split, partial) in enumerate(songs)
    ]
    splits = split_songs(made, held_out)
    assert set(splits) == {song.id for song in made}
    for song in made:
        assert splits[song.id] in ((song.split,) if song.split in SPLITS[1:] else SPLITS)
