"""Prepared folders: what is read is what was written, from any thread, and only if whole."""

import concurrent.futures
import dataclasses
import json
import pathlib
import pickle

import numpy as np
import pytest

from data_pipeline.dataset import SPLITS
from data_pipeline.records import RATE, Prepared, write_prepared
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.prepared_folder import make_prepared, song

LENGTHS = {'a': 2.5, 'b': 1.0, 'c': 0.3}


def audio_of(name: str) -> np.ndarray:
    rng = np.random.default_rng(ord(name))
    shape = (len(TRACKS), round(LENGTHS[name] * RATE), 2)
    return (rng.integers(-32768, 32768, shape) / 32768).astype(np.float32)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    songs = [song(name, split) for name, split in zip(LENGTHS, SPLITS, strict=True)]
    make_prepared(tmp_path, songs[::-1], {name: audio_of(name) for name in LENGTHS})
    return tmp_path


def test_round_trip(folder: pathlib.Path):
    prepared = Prepared(folder)
    assert [(found.id, found.split) for found in prepared.songs()] == [
        ('a', 'train'),
        ('b', 'validation'),
        ('c', 'test'),
    ]
    for found in prepared.songs():
        assert found.duration_s == LENGTHS[found.id]
        whole = prepared.read(found, 0, found.num_samples)
        np.testing.assert_array_equal(whole, audio_of(found.id))
    assert [found.num_records for found in prepared.songs()] == [3, 1, 1]


@pytest.mark.parametrize(
    ('start', 'length'), [(0, 1), (RATE - 1, 2), (RATE, RATE), (100, 2 * RATE), (2 * RATE, 9000)]
)
def test_windows_are_slices(folder: pathlib.Path, start: int, length: int):
    prepared = Prepared(folder)
    (found,) = prepared.songs('train')
    window = prepared.read(found, start, length)
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window, audio_of('a')[:, start : start + length])


def test_past_the_end_is_silence_and_outside_is_an_error(folder: pathlib.Path):
    prepared = Prepared(folder)
    (found,) = prepared.songs('test')
    window = prepared.read(found, 10_000, 2 * RATE)
    np.testing.assert_array_equal(window[:, :4400], audio_of('c')[:, 10_000:])
    assert not window[:, 4400:].any()
    for start, length in ((-1, 10), (found.num_samples, 1), (0, 0)):
        with pytest.raises(ValueError, match='no window'):
            prepared.read(found, start, length)


def test_many_threads_and_a_pickled_copy_read_the_same(folder: pathlib.Path):
    prepared = pickle.loads(pickle.dumps(Prepared(folder)))
    (found,) = prepared.songs('train')
    starts = [int(s) for s in np.random.default_rng(0).integers(0, found.num_samples - 500, 200)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        windows = list(pool.map(lambda start: prepared.read(found, start, 500), starts))
    for start, window in zip(starts, windows, strict=True):
        np.testing.assert_array_equal(window, audio_of('a')[:, start : start + 500])


def test_foreign_and_damaged_folders_are_refused(folder: pathlib.Path, tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match='not a prepared data folder'):
        Prepared(tmp_path / 'none')
    path = folder / 'manifest.json'
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {'version': 99}))
    with pytest.raises(BadInput, match='version 99; allowed is 2'):
        Prepared(folder)
    path.write_text('{}')
    with pytest.raises(BadInput, match='not a prepared data folder'):
        Prepared(folder)


def test_missing_and_cut_records_are_refused(folder: pathlib.Path):
    (path,) = folder.rglob('*validation.array_record*')
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(BadInput, match='the validation split has 1 files of'):
        Prepared(folder)
    path.unlink()
    with pytest.raises(BadInput, match='the validation split has 0 files of'):
        Prepared(folder)
    path.write_bytes(data)
    Prepared(folder)
    (folder / 'tfds').rename(folder / 'away')
    with pytest.raises(BadInput, match='records are missing or of other songs'):
        Prepared(folder)
    (folder / 'away').rename(folder / 'tfds')
    songs = folder / 'songs.jsonl'
    songs.write_text(songs.read_text().replace('song b', 'song x'))
    with pytest.raises(
        BadInput, match=r'songs\.jsonl: cut off or damaged, by its SHA-256; prepare'
    ):
        Prepared(folder)


def test_records_are_kept_for_the_same_songs_and_made_again_for_others(folder: pathlib.Path):
    def times() -> set[int]:
        return {path.stat().st_mtime_ns for path in folder.rglob('*.array_record*')}

    songs = Prepared(folder).songs()
    first = times()
    described = [dataclasses.replace(s, prompts=('other words',)) for s in songs]
    write_prepared(folder, described, source='test', settings={})
    assert times() == first
    assert Prepared(folder).songs('train')[0].prompts == ('other words',)
    write_prepared(folder, songs[:2], source='test', settings={})
    assert not times() & first
    assert len(Prepared(folder).songs()) == 2


def test_the_manifest_tells_songs_and_settings_apart(folder: pathlib.Path):
    first = Prepared(folder).manifest
    songs = Prepared(folder).songs()
    again = write_prepared(folder, songs, source='test', settings={})
    assert again.fingerprint == first.fingerprint
    other = write_prepared(folder, songs, source='test', settings={'tail_s': 2})
    assert other.settings_sha256 != first.settings_sha256
    assert (other.fingerprint, other.read_sha256) == (first.fingerprint, first.read_sha256)
    changed = [dataclasses.replace(songs[0], source_sha256='other'), *songs[1:]]
    other = write_prepared(folder, changed, source='test', settings={})
    assert other.read_sha256 != first.read_sha256
    assert other.fingerprint != first.fingerprint


def test_the_summary_counts_what_is_there(tmp_path: pathlib.Path):
    stems = {name: np.zeros((4, 36 * RATE, 2)) for name in 'ab'}
    stems['a'][0] = 0.1
    stems['b'][0, : 18 * RATE] = 0.1
    stems['b'][2, :RATE] = 0.1
    songs = [
        song('a', 'train', tags={'bpm': 120.0, 'key': 'C major'}),
        song('b', 'test', tags={'bpm': 90.0, 'key': 'C major'}, version='p+1'),
    ]
    summary = make_prepared(tmp_path, songs, stems).manifest.summary
    assert (summary['songs'], summary['hours'], summary['versions']) == (2, 0.02, 1)
    assert summary['splits']['train'] == {'songs': 1, 'hours': 0.01}
    assert summary['splits']['validation'] == {'songs': 0, 'hours': 0}
    assert summary['tracks']['bass'] == {'songs': 2, 'hours': 0.015, 'near_silent': 0}
    assert summary['tracks']['drums'] == {'songs': 0, 'hours': 0, 'near_silent': 0}
    assert summary['tracks']['instrument']['near_silent'] == 1
    assert summary['bpm'] == [90, 105, 120]
    assert summary['keys'] == {'C major': 2}
    assert summary['record_bytes'] == 72 * 4 * RATE * 4


def test_unknown_splits_are_refused(folder: pathlib.Path):
    with pytest.raises(BadInput, match='allowed are train, validation, test'):
        Prepared(folder).songs('valid')
