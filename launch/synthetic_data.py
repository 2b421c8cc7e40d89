"""Folders of noise in the shape of real ones, for measuring how fast they are read."""

from collections.abc import Sequence

import numpy as np
from etils import epath

from data_pipeline.latent_writing import write_latents
from data_pipeline.latents import Latents
from data_pipeline.records import RATE, Prepared, write_prepared
from data_pipeline.songs import Song, digest, write_song
from jen1composer.tracks import TRACKS

SOURCE = 'noise'
TOKENS, TEXT_WIDTH = 32, 384


def noise_prepared(folder: epath.PathLike, *, num_songs: int, seconds: int) -> Prepared:
    """A prepared folder of noise, all for training; kept if it is there."""
    folder = epath.Path(folder)
    if not (folder / 'manifest.json').exists():
        random = np.random.default_rng(0)
        songs = []
        for song in _songs(num_songs, seconds):
            stems = random.uniform(-0.2, 0.2, (len(TRACKS), song.num_samples, 2))
            songs.append(write_song(folder, song, stems.astype(np.float32)))
        write_prepared(folder, songs, source=SOURCE, settings={})
    return Prepared(folder)


def noise_latents(
    folder: epath.PathLike,
    *,
    channels: int,
    hop_samples: int,
    clip_frames: int,
    num_songs: int,
    seconds: int,
) -> Latents:
    """A folder of white latents, all for training; kept if it is there."""
    folder = epath.Path(folder)
    if not (folder / 'manifest.json').exists():
        random = np.random.default_rng(0)

        def encode(stems: np.ndarray) -> np.ndarray:
            num_frames = stems.shape[1] // hop_samples
            return random.standard_normal((len(stems), num_frames, channels), np.float32)

        def encode_text(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
            states = random.standard_normal((len(texts), TOKENS, TEXT_WIDTH), np.float32)
            return states, np.ones((len(texts), TOKENS), bool)

        write_latents(
            folder,
            _Silence(_songs(num_songs, seconds)),  # type: ignore[arg-type]
            encode=encode,
            encode_text_states=encode_text,
            clip_frames=clip_frames,
            channels=channels,
            hop_samples=hop_samples,
            autoencoder_fingerprint=SOURCE,
            text_encoder=SOURCE,
            text_fingerprint=SOURCE,
            max_tokens=TOKENS,
        )
    return Latents(folder)


class _Silence:
    """As much of a prepared folder as is encoded: songs of silence that take no room."""

    folder = SOURCE
    fingerprint = SOURCE
    tracks = TRACKS

    def __init__(self, songs: Sequence[Song]):
        self._songs = list(songs)

    def songs(self) -> list[Song]:
        return self._songs

    def read(self, song: Song, start_sample: int, num_samples: int) -> np.ndarray:
        del song, start_sample
        return np.broadcast_to(np.float32(0), (len(TRACKS), num_samples, 2))


def _songs(count: int, seconds: int) -> list[Song]:
    return [
        Song(
            id=f'noise{k}',
            split='train',
            key=digest([SOURCE, k, seconds]),
            title=f'noise {k}',
            num_samples=seconds * RATE,
            tags={},
            prompts=(f'noise number {k}',),
            rms_db={},
            active={},
            loudness_lufs=None,
            source_sha256='',
            audio_sha256='',
            flac_bytes={},
        )
        for k in range(count)
    ]
