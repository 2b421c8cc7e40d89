"""Crops of stems, which the autoencoder learns from: of one each, or of several summed.

Example i is a pure function of (seed, i): a counter-based generator keyed by both draws a song by
its length, a track and a place. A stem is silent much of the time and silence is soon learnt, so a
silent crop is kept with the odds `keep_silent` and otherwise drawn again, a few times at most.

With the odds `mixed` the crop is the sum of some stems at that place rather than of one, every
non-empty set of them being as likely: the autoencoder hears mixes too. What `augmentation` does, it
does to those stems before they are summed. Both draw from streams of their own, so a crop that they
leave alone is the one that there was without them.

Step s takes the examples s x batch .. (s + 1) x batch - 1: the step is the position in the data,
and a run goes on anywhere without reading what came before.
"""

from collections.abc import Iterator

import grain
import numpy as np

from data_pipeline.augmentation import Augmentation
from data_pipeline.headroom import within_full_scale
from data_pipeline.records import RATE, Prepared
from data_pipeline.streams import stream
from jen1composer.errors import BadInput, require

SILENT_RMS = 1e-3  # -60 dB of full scale
MAX_DRAWS = 8
AS_IT_IS = Augmentation()

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
        augmentation: Augmentation = AS_IT_IS,
        mixed: float = 0.0,
    ):
        """Opens the crops of `num_samples` samples of the songs of `split`.

        Args:
            keep_silent: odds that a silent crop is kept rather than drawn again.
            augmentation: what is done to the stems of a crop.
            mixed: odds that a crop is a sum of stems rather than one.

        Raises BadInput if the split has no song as long as a crop, or `mixed` is out of range.
        """
        require(0 <= mixed <= 1, 'augment.mixed', mixed, 'is 0 to 1')
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
        self._augmentation = augmentation
        self._mixed = mixed

    def __len__(self) -> int:
        return self._num_examples

    def __getitem__(self, index: int) -> Crop:
        """{'waveform': float32 [sample, 2], 'index': uint32}."""
        random = np.random.Generator(np.random.Philox(key=[self._seed, index]))
        mixing = stream(self._seed, index, 'mixing')
        mixed = mixing.random() < self._mixed
        for _ in range(MAX_DRAWS):
            song = self._songs[random.choice(len(self._songs), p=self._odds)]
            track = random.integers(len(self._data.tracks))
            start = random.integers(song.num_samples - self._num_samples + 1)
            heard = self._some_tracks(mixing) if mixed else [track]
            stems = self._data.read(song, int(start), self._num_samples)[heard]
            silent = np.sqrt(np.mean(np.square(stems.sum(axis=0)))) < SILENT_RMS
            if not silent or random.random() < self._keep_silent:
                break
        stems = self._augmentation.apply(stems, self._seed, index)
        crop = within_full_scale(stems).sum(axis=0)
        return {'waveform': crop, 'index': np.asarray(index, np.uint32)}

    def _some_tracks(self, random: np.random.Generator) -> np.ndarray:
        """A non-empty set of tracks: a number from 1 to 2^K - 1, one bit a track."""
        bits = random.integers(1, 1 << len(self._data.tracks))
        return np.flatnonzero(bits >> np.arange(len(self._data.tracks)) & 1)


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
