"""The data set: every second of every song once and in order, however it is cut into shards."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds
from array_record.python.array_record_data_source import ArrayRecordDataSource

from data_pipeline import dataset
from data_pipeline.dataset import PreparedSongs, features, seconds_of, shards_of
from data_pipeline.songs import RATE, Song, write_song
from jen1composer.tracks import TRACKS
from tests.data_pipeline.prepared_folder import song

SECONDS = {'a': 2.5, 'b': 1.0, 'c': 0.3, 'd': 4.0}
SECOND_BYTES = len(TRACKS) * RATE * 4


def sound(name: str) -> np.ndarray:
    shape = (len(TRACKS), round(SECONDS[name] * RATE), 2)
    return np.random.default_rng(ord(name)).integers(-9, 9, shape) / np.float32(32768)


def write(folder: pathlib.Path) -> list[Song]:
    splits = ('train', 'train', 'test', 'train')
    return [
        write_song(folder, song(name, split), sound(name))
        for name, split in zip(SECONDS, splits, strict=True)
    ]


def test_seconds_add_up_to_the_song():
    samples = (sound('a') * 32768).astype(np.int16)
    seconds = list(seconds_of(samples))
    assert [second.shape for second in seconds] == [(len(TRACKS), RATE, 2)] * 3
    whole = np.concatenate(seconds, axis=1)
    np.testing.assert_array_equal(whole[:, : samples.shape[1]], samples)
    assert not whole[:, samples.shape[1] :].any()


@pytest.mark.parametrize('shard_seconds', [1, 3, 4, 100])
def test_shards_are_whole_songs_in_order(tmp_path: pathlib.Path, shard_seconds: int):
    songs = write(tmp_path)
    shards = shards_of(songs, shard_seconds * SECOND_BYTES)
    assert [s for shard in shards for s in shard] == songs
    for shard in shards[:-1]:  # Full with the last of its songs and not before.
        seconds = [s.num_records for s in shard]
        assert sum(seconds) >= shard_seconds > sum(seconds[:-1])


@pytest.mark.parametrize('shard_seconds', [1, 3, 100])
def test_tfds_reads_every_second_in_order(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, shard_seconds: int
):
    monkeypatch.setattr(dataset, 'shards_of', lambda s: shards_of(s, shard_seconds * SECOND_BYTES))
    builder = PreparedSongs(tmp_path, write(tmp_path))
    builder.download_and_prepare()
    opened = tfds.builder_from_directory(builder.data_path)
    assert set(opened.info.splits) == {'train', 'test'}
    found = list(opened.as_data_source('train'))
    order = [(name, k) for name, n in (('a', 3), ('b', 1), ('d', 4)) for k in range(n)]
    assert [(r['song'].decode(), r['second']) for r in found] == order
    for name in ('a', 'b', 'd'):
        heard = np.concatenate([r['audio'] for r in found if r['song'] == name.encode()], axis=1)
        stems = sound(name) * 32768
        np.testing.assert_array_equal(heard[:, : stems.shape[1]], stems)


def test_the_order_in_which_shards_are_made_changes_no_record(tmp_path: pathlib.Path):
    raw = []
    for name, order in (('forwards', 1), ('backwards', -1)):
        folder = tmp_path / name
        folder.mkdir()
        builder = PreparedSongs(
            folder,
            write(folder),
            lambda work, items, order=order, **_: [work(i) for i in items[::order]],
        )
        builder.download_and_prepare()
        files = sorted(builder.data_path.glob('*.array_record*'))
        raw.append([bytes(record) for f in files for record in ArrayRecordDataSource([str(f)])])
    assert len(raw[0]) == 9
    assert raw[0] == raw[1]


def test_a_record_is_its_samples_and_little_else():
    audio = np.zeros((len(TRACKS), RATE, 2), np.int16)
    example = features().encode_example({'audio': audio, 'song': 'x', 'second': 0})
    assert SECOND_BYTES < len(dataset._serializer().serialize_example(example)) < SECOND_BYTES + 200


def test_nothing_imports_tensorflow(tmp_path: pathlib.Path):
    builder = PreparedSongs(tmp_path, write(tmp_path))
    builder.download_and_prepare()
    program = (
        'import sys, tensorflow_datasets as tfds\n'
        f'builder = tfds.builder_from_directory({str(builder.data_path)!r})\n'
        'records = builder.as_data_source("train")\n'
        'assert records[0]["audio"].shape == (4, 48000, 2)\n'
        'assert "tensorflow" not in sys.modules'
    )
    subprocess.run([sys.executable, '-c', program], check=True)
