"""How fast data is read, beside the fastest that it could be, and beside what models eat.

For each kind of data the same windows are read three ways, in the same order:

1. *raw*: their records as bytes, those of a batch held together as a batch is, by as many threads:
   the limit, since nothing is done with them;
2. *loader*: as batches, the way training reads them;
3. *cold*: the loader again, after the system was told to forget the files.

Of each kind all three are timed in turn, several times, after one round that is not counted; a
figure is the median, and the loader's share is the median of (raw time / loader time) round by
round. MB are of the records that were touched, so they compare; per core is per second of processor
time. What a model eats follows from its step:

    windows a second = batch / (seconds a step)
    seconds a step   = (FLOP of the gradient at that batch) / (sustained FLOP/s), if not measured
"""

import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from ml_collections import ConfigDict

from data_pipeline import audio_crops
from data_pipeline.audio_crops import AudioCrops
from data_pipeline.batches import batches
from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.latents import Latents
from data_pipeline.mixture import Mixture
from data_pipeline.order import Order, begun
from data_pipeline.record_files import RecordFiles
from data_pipeline.records import RATE, Prepared
from data_pipeline.windows import Windows
from launch.description import GivenByData, subject_of

BATCH = 16
SEED = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Kind:
    """Something to read: batches, and the records that each of them touches."""

    name: str
    files: Sequence[pathlib.Path]
    records: RecordFiles
    touched: Sequence[Sequence[int]]  # of each batch
    read: Callable[[int], Iterator[Any]]  # number of batches -> them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Speed:
    """Medians over the rounds; times are of reading `windows` windows.

    Attributes:
        name: what was read.
        windows, megabytes: how many, and the size of the records that they touch.
        raw_s, loader_s, cold_s: wall time.
        loader_cpu_s: processor time of the loader.
        share: of the raw speed that the loader reaches.
    """

    name: str
    windows: int
    megabytes: float
    raw_s: float
    loader_s: float
    cold_s: float
    loader_cpu_s: float
    share: float

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {
            'windows_per_s': self.windows / self.loader_s,
            'mb_per_s': self.megabytes / self.loader_s,
            'cold_mb_per_s': self.megabytes / self.cold_s,
            'raw_mb_per_s': self.megabytes / self.raw_s,
            'mb_per_core_s': self.megabytes / self.loader_cpu_s,
        }


def crops_of(data: Prepared, *, num_samples: int, num_batches: int) -> Kind:
    """The autoencoder's: short crops of single stems."""
    count = num_batches * BATCH

    def read(number: int) -> Iterator[Any]:
        crops = AudioCrops(
            data, split='train', num_samples=num_samples, num_examples=count, seed=SEED
        )
        return itertools.islice(audio_crops.batches(crops, batch_size=BATCH), number)

    spy = _Spy(data)
    spied = cast(Prepared, spy)
    crops = AudioCrops(spied, split='train', num_samples=num_samples, num_examples=count, seed=SEED)
    touched = []
    for batch in range(num_batches):
        spy.seen = []
        for example in range(batch * BATCH, (batch + 1) * BATCH):
            crops[example]
        touched.append(spy.seen)
    name = f'sound: crops of {num_samples / RATE:.2f} s'
    return Kind(
        name=name, files=_files(data.records), records=data.records, touched=touched, read=read
    )


def windows_of(latents: Latents, *, num_frames: int, num_batches: int, threads: int) -> Kind:
    """The composer's: windows of latents with their tasks and text."""
    mixture = Mixture.alone(Windows(latents, ['train'], num_frames), SEED)
    num_tracks = len(latents.manifest.tracks)
    stages = (Stage(steps=num_batches, shares=(1.0,) * num_tracks),)
    curriculum = Curriculum(num_tracks=num_tracks, stages=stages)
    order = Order(seed=SEED, segments=begun(BATCH), total_steps=num_batches)

    def record(index: int) -> int:
        _, window = mixture[index]
        version = mixture.parts[0].version(SEED, index)
        return latents.layout.record(window.song, window.clip, version)

    def read(number: int) -> Iterator[Any]:
        found = batches(mixture, curriculum, order, first_step=0, threads=threads)
        return itertools.islice(found, number)

    shape = (num_tracks, num_frames, latents.manifest.channels)
    return Kind(
        name=f'latents: windows of {" x ".join(map(str, shape))}',
        files=_files(latents.records),
        records=latents.records,
        touched=[[record(i) for i in order.indices(step)] for step in range(num_batches)],
        read=read,
    )


def measure(kind: Kind, *, repeats: int, threads: int) -> Speed:
    """Times one kind; see the module."""
    flat = [record for batch in kind.touched for record in batch]
    megabytes = sum(len(kind.records[record]) for record in flat) / 1e6
    rounds = []
    for number in range(repeats + 1):
        forget(kind.files)
        cold_s, _ = _timed(lambda: _use_up(kind.read(len(kind.touched))))
        raw_s, _ = _timed(lambda: read_raw(kind.records, kind.touched, threads))
        loader_s, cpu_s = _timed(lambda: _use_up(kind.read(len(kind.touched))))
        if number:
            rounds.append((raw_s, loader_s, cold_s, cpu_s, raw_s / loader_s))
    raw_s, loader_s, cold_s, cpu_s, share = map(statistics.median, zip(*rounds, strict=True))
    return Speed(
        name=kind.name,
        windows=len(kind.touched) * BATCH,
        megabytes=round(megabytes, 1),
        raw_s=raw_s,
        loader_s=loader_s,
        cold_s=cold_s,
        loader_cpu_s=cpu_s,
        share=share,
    )


def read_raw(records: RecordFiles, touched: Sequence[Sequence[int]], threads: int) -> None:
    """Reads the records of each batch into memory, batches in threads, and does no more."""

    def read(batch: Sequence[int]) -> int:
        return len([records[record] for record in batch])

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        sum(pool.map(read, touched))


def forget(files: Sequence[pathlib.Path]) -> None:
    """Asks the system to drop the files from its memory, so that they are read from the disk."""
    for path in files:
        with path.open('rb') as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def waiting(kind: Kind, *, step_s: float) -> float:
    """The share of the time that is waited for data where a step keeps some other device busy."""
    waited = 0.0
    data = kind.read(len(kind.touched))
    next(data)  # The first one is waited for in any case.
    began = time.perf_counter()
    for _ in range(len(kind.touched) - 1):
        time.sleep(step_s)
        asked = time.perf_counter()
        next(data)
        waited += time.perf_counter() - asked
    return waited / (time.perf_counter() - began)


def step_seconds(config: ConfigDict, given: GivenByData, *, tflops: float) -> float:
    """How long a step of a composer takes where so many TFLOP/s are sustained; see the module."""
    return subject_of(config, given, None).gradient_flops / (tflops * 1e12)


def eaten(config: ConfigDict, given: GivenByData, *, step_s: float) -> dict[str, float]:
    """What a composer of this config eats, at so many seconds a step."""
    frames = config.data.window_frames
    window_mb = given.num_tracks * frames * given.latent_channels * 2 / 1e6
    return {
        'batch': config.batch,
        'step_s': step_s,
        'windows_per_s': config.batch / step_s,
        'mb_per_s': config.batch / step_s * window_mb,
    }


class _Spy:
    """A prepared folder that notes which records are read."""

    def __init__(self, data: Prepared):
        self._data = data
        self.seen: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def read(self, song: Any, start_sample: int, num_samples: int) -> Any:
        first = self._data.first_record(song)
        end_sample = min(start_sample + num_samples, song.num_samples)
        self.seen += range(first + start_sample // RATE, first + -(-end_sample // RATE))
        return self._data.read(song, start_sample, num_samples)


def _files(records: RecordFiles) -> list[pathlib.Path]:
    return [pathlib.Path(records.path(file)) for file in range(len(records.names))]


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and processor seconds."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def _use_up(items: Iterator[Any]) -> None:
    for _ in items:
        pass
