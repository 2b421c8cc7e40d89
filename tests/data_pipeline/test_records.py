"""Prepared folders: what is read is what was written, from any thread, and only if whole."""

import concurrent.futures
import dataclasses
import json
import pathlib
import pickle

import numpy as np
import pytest

from data_pipeline.records import RATE, Prepared, Song, quantise, write_manifest, write_song
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

LENGTHS = {'a': 2.5, 'b': 1.0, 'c': 0.3}


def audio_of(name: str) -> np.ndarray:
    rng = np.random.default_rng(ord(name))
    shape = (len(TRACKS), round(LENGTHS[name] * RATE), 2)
    return (rng.integers(-32768, 32768, shape) / 32768).astype(np.float32)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    songs = []
    for name, split in zip(LENGTHS, ('train', 'validation', 'test'), strict=True):
        song = write_song(
            tmp_path,
            name,
            audio_of(name),
            title=name.upper(),
            tags={'bpm': 120.0},
            prompts=['noise'],
            source_sha256='0' * 64,
            recipe='r',
        )
        songs.append(dataclasses.replace(song, split=split))
    write_manifest(tmp_path, songs, source='test', settings={}, quarantined=[])
    return tmp_path


def test_round_trip(folder: pathlib.Path):
    prepared = Prepared(folder)
    assert [(song.id, song.split) for song in prepared.songs()] == [
        ('a', 'train'),
        ('b', 'validation'),
        ('c', 'test'),
    ]
    for song in prepared.songs():
        assert song.duration_s == LENGTHS[song.id]
        np.testing.assert_array_equal(prepared.read(song, 0, song.num_samples), audio_of(song.id))
    assert [song.num_records for song in prepared.songs()] == [3, 1, 1]


@pytest.mark.parametrize(
    ('start', 'length'), [(0, 1), (RATE - 1, 2), (RATE, RATE), (100, 2 * RATE), (2 * RATE, 9000)]
)
def test_windows_are_slices(folder: pathlib.Path, start: int, length: int):
    prepared = Prepared(folder)
    (song,) = prepared.songs('train')
    window = prepared.read(song, start, length)
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window, audio_of('a')[:, start : start + length])


def test_past_the_end_is_silence_and_outside_is_an_error(folder: pathlib.Path):
    prepared = Prepared(folder)
    (song,) = prepared.songs('test')
    window = prepared.read(song, 10_000, 2 * RATE)
    np.testing.assert_array_equal(window[:, :4400], audio_of('c')[:, 10_000:])
    assert not window[:, 4400:].any()
    for start, length in ((-1, 10), (song.num_samples, 1), (0, 0)):
        with pytest.raises(ValueError, match='no window'):
            prepared.read(song, start, length)


def test_many_threads_and_a_pickled_copy_read_the_same(folder: pathlib.Path):
    prepared = pickle.loads(pickle.dumps(Prepared(folder)))
    (song,) = prepared.songs('train')
    starts = [int(s) for s in np.random.default_rng(0).integers(0, song.num_samples - 500, 200)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        windows = list(pool.map(lambda start: prepared.read(song, start, 500), starts))
    for start, window in zip(starts, windows, strict=True):
        np.testing.assert_array_equal(window, audio_of('a')[:, start : start + 500])


def test_levels_are_measured(tmp_path: pathlib.Path):
    stems = np.zeros((len(TRACKS), 2 * RATE, 2), np.float32)
    stems[1] = 0.1
    stems[3, :RATE] = 1e-2
    song: Song = write_song(
        tmp_path, 'x', stems, title='', tags={}, prompts=[''], source_sha256='', recipe=''
    )
    assert song.rms_db == {'bass': -120, 'drums': -20, 'instrument': -120, 'melody': -43}
    assert song.active == {'bass': 0, 'drums': 1, 'instrument': 0, 'melody': 0.5}


def test_quantising_is_exact_and_refuses_what_would_clip():
    integers = np.arange(-32768, 32768, dtype='<i2')
    np.testing.assert_array_equal(quantise(integers.astype(np.float32) / 32768), integers)
    assert quantise(np.float32([1.0])) == 32767
    for value in (1.01, np.nan, np.inf):
        with pytest.raises(ValueError, match='finite'):
            quantise(np.float32([value]))


def test_foreign_and_damaged_folders_are_refused(folder: pathlib.Path, tmp_path: pathlib.Path):
    with pytest.raises(BadInput, match='not a prepared data folder'):
        Prepared(tmp_path / 'none')
    path = folder / 'manifest.json'
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {'version': 99}))
    with pytest.raises(BadInput, match='version 99; allowed is 1'):
        Prepared(folder)
    path.write_text('{}')
    with pytest.raises(BadInput, match='not a prepared data folder'):
        Prepared(folder)


def test_missing_and_cut_records_are_refused(folder: pathlib.Path):
    path = folder / 'songs/b.array_record'
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(BadInput, match=r'b\.array_record'):
        Prepared(folder)
    path.unlink()
    with pytest.raises(BadInput, match=r'b\.array_record'):
        Prepared(folder)
    path.write_bytes(data)
    Prepared(folder)
    (folder / 'songs/c.json').write_text('{"id": "c"')
    with pytest.raises(BadInput, match=r'c\.json'):
        Prepared(folder)


def test_unknown_splits_are_refused(folder: pathlib.Path):
    with pytest.raises(BadInput, match='allowed are train, validation, test'):
        Prepared(folder).songs('valid')
