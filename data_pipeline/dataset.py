"""Songs as a TFDS data set: one record a second, random access, in shards.

    DIR/tfds/prepared_songs/1.0.0/prepared_songs-train.array_record-00000-of-00008 ...

1. A record is one second of one song, {'audio': int16 [track, 48000, 2], 'song': its id, 'second':
   its number}; the last one of a song is padded with silence. Records are in order: songs as they
   stand in their split, seconds as they pass. Anything that reads TFDS reads this,

       tfds.builder_from_directory('DIR/tfds/prepared_songs/1.0.0').as_data_source('train')

   without TensorFlow.
2. Each record is read by itself: a window reads the seconds it touches, nothing else.
3. A shard is whole songs, and what is in it follows from the list of songs alone. Shards are made
   one by one, anywhere, from the songs on disk: no record ever passes through a shuffle. (TFDS's
   own Beam writer groups all records by key, which for 10 GB wants several times that in memory.)
4. TFDS builds aside and renames: the data set is whole or not there.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import dataset_builder, example_serializer

from data_pipeline.record_files import write_records
from data_pipeline.songs import Song, digest, read_samples, song_from_json
from data_pipeline.work import Run, one_by_one
from jen1composer.tracks import SAMPLE_RATE as RATE
from jen1composer.tracks import TRACKS

NAME = 'prepared_songs'
VERSION = '1.0.0'
SPLITS = ('train', 'validation', 'test')
SHARD_BYTES = 256 * 2**20  # a shard is closed at the first song that takes it past this


@functools.cache
def features() -> tfds.features.FeaturesDict:
    """What a record holds."""
    audio = tfds.features.Tensor(
        shape=(len(TRACKS), RATE, 2), dtype=np.int16, encoding=tfds.features.Encoding.BYTES
    )
    scalar = tfds.features.Scalar
    return tfds.features.FeaturesDict(
        {'audio': audio, 'song': tfds.features.Text(), 'second': scalar(np.int32)}
    )


@functools.cache
def _serializer() -> example_serializer.ExampleSerializer:
    return example_serializer.ExampleSerializer(features().get_serialized_info())


def shards_of(songs: Sequence[Song], shard_bytes: int = SHARD_BYTES) -> list[list[Song]]:
    """Consecutive songs in shards of about `shard_bytes`; no song is cut in two."""
    shards: list[list[Song]] = []
    filled = shard_bytes
    for song in songs:
        if filled >= shard_bytes:
            shards.append([])
            filled = 0
        shards[-1].append(song)
        filled += song.num_records * len(TRACKS) * RATE * 4
    return shards


def seconds_of(samples: np.ndarray) -> Iterator[np.ndarray]:
    """int16 `[track, sample, 2]` as seconds `[track, 48000, 2]`, the last one padded."""
    for start in range(0, samples.shape[1], RATE):
        second = np.zeros((len(samples), RATE, 2), np.int16)
        piece = samples[:, start : start + RATE]
        second[:, : piece.shape[1]] = piece
        yield second


def write_shard(shard: Any, folder: str) -> int:
    """Writes {'path', 'songs'} from the songs under `folder`; returns its number of records."""
    songs = [song_from_json(song) for song in shard['songs']]

    def records() -> Iterator[bytes]:
        for song in songs:
            for second, audio in enumerate(seconds_of(read_samples(folder, song))):
                example = {'audio': audio, 'song': song.id, 'second': second}
                yield _serializer().serialize_example(features().encode_example(example))

    write_records(epath.Path(shard['path']), records())
    return sum(song.num_records for song in songs)


class PreparedSongs(dataset_builder.FileReaderBuilder):
    """The TFDS builder over the songs of a prepared folder."""

    name = NAME
    VERSION = tfds.core.Version(VERSION)

    def __init__(self, folder: epath.PathLike, songs: Sequence[Song], run: Run = one_by_one):
        self._folder = epath.Path(folder)
        self._songs = {split: [s for s in songs if s.split == split] for split in SPLITS}
        self._run = run
        super().__init__(data_dir=self._folder / 'tfds', file_format='array_record')

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description='Songs as aligned stems, one record a second.',
            features=features(),
            metadata=tfds.core.MetadataDict(
                tracks=list(TRACKS),
                sample_rate=RATE,
                songs=songs_digest([s for songs in self._songs.values() for s in songs]),
            ),
            disable_shuffling=True,
        )

    def _log_download_bytes(self) -> None:
        """Nothing: no byte is downloaded, and TFDS would print that on stdout."""

    def _log_download_done(self) -> None:
        """Nothing, as before."""

    def _download_and_prepare(
        self, dl_manager: Any, download_config: tfds.download.DownloadConfig | None = None
    ) -> None:
        del dl_manager, download_config
        work, infos = [], []
        for split, songs in self._songs.items():
            if not songs:
                continue
            shards = shards_of(songs)
            template = self._get_filename_template(split_name=split)
            work += [
                {
                    'path': os.fspath(
                        template.sharded_filepath(shard_index=k, num_shards=len(shards))
                    ),
                    'songs': [dataclasses.asdict(song) for song in shard],
                }
                for k, shard in enumerate(shards)
            ]
            lengths = [sum(song.num_records for song in shard) for shard in shards]
            infos.append((split, lengths, template))
        self._run(
            functools.partial(write_shard, folder=os.fspath(self._folder)),
            work,
            count_done=lambda: sum(1 for shard in work if epath.Path(shard['path']).exists()),
            description='shards',
        )
        sizes = {shard['path']: epath.Path(shard['path']).stat().length for shard in work}
        self.info.set_splits(
            tfds.core.SplitDict(
                [
                    tfds.core.SplitInfo(
                        name=split,
                        shard_lengths=lengths,
                        num_bytes=sum(
                            sizes[os.fspath(path)]
                            for path in template.sharded_filepaths(len(lengths))
                        ),
                        filename_template=template,
                    )
                    for split, lengths, template in infos
                ]
            )
        )


def songs_digest(songs: Sequence[Song]) -> str:
    """Tells two lists of songs, in the order of SPLITS, apart: their splits, names and sound."""
    return digest([[song.split, song.id, song.audio_sha256] for song in songs])
