"""Crops of single stems, which the autoencoder learns from.

Example i is a pure function of (seed, i): a counter-based generator keyed by both draws a song by
its length, a track and a place. A stem is silent much of the time and silence is soon learnt, so a
silent crop is kept with the odds `keep_silent` and otherwise drawn again, a few times at most.

Step s takes the examples s x batch .. (s + 1) x batch - 1: the step is the position in the data,
and a run goes on anywhere without reading what came before.
"""

from collections.abc import Iterator

import grain
import numpy as np

from data_pipeline.records import RATE, Prepared, Song
from jen1composer.errors import BadInput

SILENT_RMS = 1e-3  # -60 dB of full scale
MAX_DRAWS = 8

Crop = dict[str, np.ndarray]


class AudioCrops:
    """Random access to `num_examples` crops of the songs of one split."""

    def __init__(
        self,
        data: Prepared,
        *,
        split: str,
        num_samples: int,
        num_examples: int,
        seed: int,
        keep_silent: float = 0.1,
    ):
        """Raises BadInput if the split has no song as long as a crop."""
        self._data = data
        self._songs = [song for song in data.songs(split) if song.num_samples >= num_samples]
        if not self._songs:
            raise BadInput(
                f'{data.folder}: the {split} split has no song of at least '
                f'{num_samples / RATE:.2f} s, the length of a crop'
            )
        places = np.array([song.num_samples - num_samples + 1 for song in self._songs])
        self._odds = places / places.sum()
        self._num_samples = num_samples
        self._num_examples = num_examples
        self._seed = seed
        self._keep_silent = keep_silent

    def __len__(self) -> int:
        return self._num_examples

    def __getitem__(self, index: int) -> Crop:
        """{'waveform': float32 [sample, 2], 'index': uint32}."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, index]))
        for _ in range(MAX_DRAWS):
            song = self._songs[random.choice(len(self._songs), p=self._odds)]
            crop = self._draw(song, random)
            silent = np.sqrt(np.mean(np.square(crop))) < SILENT_RMS
            if not silent or random.random() < self._keep_silent:
                break
        return {'waveform': crop, 'index': np.asarray(index, np.uint32)}

    def _draw(self, song: Song, random: np.random.Generator) -> np.ndarray:
        track = random.integers(len(self._data.tracks))
        start = random.integers(song.num_samples - self._num_samples + 1)
        return self._data.read(song, int(start), self._num_samples)[track]


def batches(
    crops: AudioCrops,
    *,
    batch_size: int,
    first_step: int = 0,
    host: int = 0,
    hosts: int = 1,
) -> Iterator[Crop]:
    """This host's part of the batches of the steps `first_step`, `first_step + 1`, ...

    A batch is split over the hosts in order, so what is trained on does not depend on their number.

    Yields:
        {'waveform': float32 [batch_size / hosts, sample, 2], 'index': uint32 [batch_size / hosts]}

    Raises:
        BadInput: the batch cannot be split evenly.
    """
    if batch_size % hosts:
        raise BadInput(f'batch: {batch_size}; allowed are multiples of {hosts}, the hosts')
    share = batch_size // hosts
    # Parts of batches in the order step 0 of host 0, step 0 of host 1, ...
    parts = grain.MapDataset.source(crops).batch(share, drop_remainder=True)
    ahead = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    return iter(parts[first_step * hosts + host :: hosts].to_iter_dataset(ahead))
