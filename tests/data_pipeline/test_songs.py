"""Rendered songs: what is read is what was written, and only if all of it is there."""

import concurrent.futures
import dataclasses
import json
import pathlib

import numpy as np
import pytest

from data_pipeline.songs import (
    NAMES,
    RATE,
    Song,
    find_song,
    quantise,
    read_samples,
    song_folder,
    song_from_json,
    write_song,
)
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS
from tests.data_pipeline.prepared_folder import song


def noise(seconds: float = 1.3) -> np.ndarray:
    shape = (len(TRACKS), round(seconds * RATE), 2)
    return np.random.default_rng(0).integers(-32768, 32768, shape).astype(np.float32) / 32768


def nameless(of: Song) -> Song:
    return dataclasses.replace(of, **NAMES)


def test_the_store_does_not_know_what_a_song_is_called(tmp_path: pathlib.Path):
    one = write_song(tmp_path / 'one', song('a', 'train', title='A'), noise(0.1))
    other = write_song(
        tmp_path / 'other',
        song('b', 'test', key=one.key, source_sha256=one.source_sha256),
        noise(0.1),
    )
    texts = [
        (song_folder(tmp_path / k, one.key) / 'song.json').read_bytes() for k in ('one', 'other')
    ]
    assert texts[0] == texts[1]
    assert (one.id, one.title, other.id) == ('a', 'A', 'b')


def test_round_trip(tmp_path: pathlib.Path):
    stems = noise()
    written = write_song(tmp_path, song('a', captions=('loud',), beats_s=(0.5, 1.0)), stems)
    assert find_song(tmp_path, written.key) == nameless(written)
    np.testing.assert_array_equal(read_samples(tmp_path, written), stems * 32768)
    assert written.num_samples == stems.shape[1]
    assert written.num_records == 2
    assert find_song(tmp_path, 'f' * 64) is None


def test_a_song_survives_json(tmp_path: pathlib.Path):
    written = write_song(
        tmp_path, song('a', tags={'genre': ['rock']}, chords=((0.0, 'Am'),)), noise(0.1)
    )
    assert song_from_json(json.loads(json.dumps(dataclasses.asdict(written)))) == written
    with pytest.raises(TypeError):
        song_from_json({'id': 'a', 'colour': 'blue'})


def test_levels_are_measured(tmp_path: pathlib.Path):
    stems = np.zeros((len(TRACKS), 20 * RATE, 2), np.float32)
    stems[1] = 0.1
    stems[2, : RATE // 2] = 0.5
    stems[3, : 10 * RATE] = 1e-2
    written = write_song(tmp_path, song('x'), stems)
    assert written.rms_db == {'bass': -120, 'drums': -20, 'instrument': -22.0, 'melody': -43}
    assert written.active == {'bass': 0, 'drums': 1, 'instrument': 0.05, 'melody': 0.5}
    assert written.near_silent == ()  # A track that is not there at all is not marked.
    rare = {**written.active, 'instrument': 0.04, 'bass': 0.0}
    assert dataclasses.replace(written, active=rare).near_silent == ('instrument',)
    silent = write_song(tmp_path, song('s'), 0 * stems)
    assert silent.loudness_lufs is None
    assert silent.near_silent == ()


def test_loudness_is_of_the_mix(tmp_path: pathlib.Path):
    time_s = np.arange(4 * RATE) / RATE
    wave = np.sin(2 * np.pi * 997 * time_s).astype(np.float32)[:, None]  # EBU Tech 3341's tone
    stems = np.zeros((len(TRACKS), 4 * RATE, 2), np.float32)
    stems[:2] = 10 ** (-23 / 20) / 2 * wave  # halves that add up to -23 dB a channel
    assert write_song(tmp_path, song('x'), stems).loudness_lufs == pytest.approx(-23, abs=0.1)


def test_quantising_is_exact_and_refuses_what_would_clip():
    integers = np.arange(-32768, 32768, dtype='<i2')
    np.testing.assert_array_equal(quantise(integers.astype(np.float32) / 32768), integers)
    assert quantise(np.float32([1.0])) == 32767
    for value in (1.01, np.nan, np.inf):
        with pytest.raises(ValueError, match='finite'):
            quantise(np.float32([value]))


@pytest.mark.parametrize('name', ['song.json', 'bass.flac', 'melody.flac'])
def test_what_is_not_whole_is_not_there_and_is_made_again(tmp_path: pathlib.Path, name: str):
    written = write_song(tmp_path, song('a'), noise())
    path = song_folder(tmp_path, written.key) / name
    for damage in (lambda: path.write_bytes(path.read_bytes()[:-9]), path.unlink):
        damage()
        assert find_song(tmp_path, written.key) is None
        assert write_song(tmp_path, song('a'), noise()) == written
        assert find_song(tmp_path, written.key) == nameless(written)


def test_damaged_sound_is_refused_by_name(tmp_path: pathlib.Path):
    written = write_song(tmp_path, song('a'), noise())
    path = song_folder(tmp_path, written.key) / 'drums.flac'
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r'drums\.flac: missing or damaged'):
        read_samples(tmp_path, written)
    path.write_bytes((path.parent / 'bass.flac').read_bytes())
    with pytest.raises(BadInput, match='other sound'):
        read_samples(tmp_path, written)
    path.unlink()
    with pytest.raises(BadInput, match=r'drums\.flac: missing or damaged'):
        read_samples(tmp_path, written)


def test_the_same_song_made_by_many_at_once_is_whole(tmp_path: pathlib.Path):
    stems = noise(0.2)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: write_song(tmp_path, song('a'), stems), range(24)))
    assert set(map(json.dumps, map(dataclasses.asdict, made))) == {
        json.dumps(dataclasses.asdict(made[0]))
    }
    assert find_song(tmp_path, made[0].key) == nameless(made[0])
    assert not list(tmp_path.rglob('*.aside'))
