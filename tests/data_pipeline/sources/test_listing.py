"""Listing: names become safe ids, broken songs stay, a few songs are spread over the splits."""

import collections
import dataclasses
import pathlib

import pytest
from etils import epath
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.sources.listing import children, describe, open_root, song_id, take, with_files
from data_pipeline.sources.source import AudioFile, Entry
from jen1composer.errors import BadInput

SIZES = st.dictionaries(st.sampled_from(['train', 'validation', 'test', '']), st.integers(1, 40))


def test_ids_are_safe_and_unique():
    names = ['AC-DC', 'A/C', 'A:C', 'Motörhead - Ace', '...', 'caf\udce9', 'x' * 255, 'x' * 254]
    ids = [song_id(name) for name in names]
    assert ids[0] == 'AC-DC'
    assert len(set(ids)) == len(ids)
    assert max(map(len, ids)) <= 120  # Room for what is put behind an id.
    assert all(epath.Path(i).name == i and i.isascii() for i in ids)


@given(names=st.sets(st.text(min_size=1, max_size=300), max_size=20))
def test_ids_of_any_names_are_unique_file_names(names: set[str]):
    ids = {song_id(name) for name in names}
    assert len(ids) == len(names)
    for i in ids:
        assert epath.Path(i).name == i
        assert i.isascii()
        assert len(i) <= 120
        assert i not in ('', '.', '..')


@given(sizes=SIZES.filter(bool), data=st.data())
def test_a_few_songs_are_spread_over_the_splits_as_the_whole_is(sizes, data):
    places = [(split, epath.Path(f'{split}{k}')) for split in sizes for k in range(sizes[split])]
    wanted = data.draw(st.integers(1, len(places)))
    chosen = take(places, wanted, 'DIR')
    assert len(chosen) == wanted
    assert chosen == [place for place in places if place in chosen]  # In order.
    counts = collections.Counter(split for split, _ in chosen)
    for split, size in sizes.items():
        assert abs(counts[split] - wanted * size / len(places)) <= len(sizes) / 2
        first = [place for place in places if place[0] == split][: counts[split]]
        assert [place for place in chosen if place[0] == split] == first
    assert take(places, None, 'DIR') == places
    with pytest.raises(BadInput, match=f'--songs={len(places) + 1}: DIR has {len(places)}; '):
        take(places, len(places) + 1, 'DIR')


def test_twelve_songs_of_slakh():
    sizes = {'train': 1500, 'validation': 375, 'test': 225}
    places = [(split, epath.Path(f'{split}{k}')) for split in sizes for k in range(sizes[split])]
    counts = collections.Counter(split for split, _ in take(places, 12, 'DIR'))
    assert counts == {'train': 9, 'validation': 2, 'test': 1}
    assert take(places, 1, 'DIR') == places[:1]


def test_broken_songs_stay_listed():
    def read(entry: Entry) -> Entry:
        if entry.title == 'b':
            raise BadInput('b/x.yaml: not YAML')
        return dataclasses.replace(entry, tags={'read': True})

    whole, broken = (describe(('train', epath.Path(name)), name, read) for name in 'ab')
    assert (whole.tags, whole.broken) == ({'read': True}, '')
    assert (broken.id, broken.where, broken.split) == ('b', 'b', 'train')
    assert broken.broken == 'b/x.yaml: not YAML'


def test_files_make_tracks_in_their_order():
    file = AudioFile(path='x')
    bare = Entry(id='x', title='x', where='x', tracks=())
    entry = with_files(bare, {'melody': [file], 'drums': [], 'bass': [file, file]}, {})
    assert entry.tracks == tuple(entry.files) == ('bass', 'melody')
    with pytest.raises(BadInput, match='x: no stems'):
        with_files(bare, {'drums': []}, {})


def test_folders_that_cannot_be_listed_are_refused(tmp_path: pathlib.Path):
    (tmp_path / 'file').write_text('')
    (tmp_path / '.hidden').mkdir()
    assert [path.name for path in children(epath.Path(tmp_path))] == ['file']
    with pytest.raises(BadInput, match=r'file: cannot be listed \(Not a directory\)'):
        children(epath.Path(tmp_path / 'file'))
    for name in ('none', 'file'):
        with pytest.raises(BadInput, match=f'--source=midi:.*{name}: no such folder'):
            open_root('midi', str(tmp_path / name))
