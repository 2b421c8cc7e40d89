"""A small folder of latents made of noise, by an encoder that is a known function of the sound."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from data_pipeline.latent_writing import write_latents
from data_pipeline.latents import LatentManifest, Latents
from data_pipeline.records import Prepared
from tests.data_pipeline import prepared_folder

HOP = 4800  # 10 frames a second
CHANNELS = 6
CLIP_FRAMES = 40
WIDTH = 8
SECONDS = {'a': 9, 'b': 5, 'c': 3, 'd': 7}
SPLITS = {'a': 'train', 'b': 'train', 'c': 'validation', 'd': 'validation'}


def encode(stems: np.ndarray) -> np.ndarray:
    """Frame n holds the first samples of the left channel of hop n: [track, frame, channel]."""
    tracks, samples, _ = stems.shape
    return stems[..., 0].reshape(tracks, samples // HOP, HOP)[..., :CHANNELS]


def encode_text(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """One token per word; its state is the sum of its letters."""
    states = np.zeros((len(texts), 12, WIDTH), np.float32)
    mask = np.zeros((len(texts), 12), bool)
    for row, text in enumerate(texts):
        words = text.split()
        states[row, : len(words)] = np.array([sum(map(ord, word)) for word in words])[:, None]
        mask[row, : len(words)] = True
    return states, mask


def prepare(
    folder: Path,
    prompts: Mapping[str, str | Sequence[str]] = MappingProxyType({}),
    beats_s: Mapping[str, Sequence[float]] = MappingProxyType({}),
    names: str = 'abcd',
    known: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Prepared:
    """Songs of 3 to 9 seconds of noise; `prompts` and `beats_s` say what some are to have.

    `known` are other fields of some songs.
    """
    songs, stems = [], {}
    for number, (name, seconds) in enumerate(SECONDS.items()):
        described = prompts.get(name, f'song {name}')
        about: dict[str, Any] = {
            'prompts': (described,) if isinstance(described, str) else tuple(described),
            'beats_s': tuple(float(beat) for beat in beats_s.get(name, ())),
        }
        about |= known.get(name, {})
        if name not in names:
            continue
        songs.append(prepared_folder.song(name, SPLITS[name], **about))
        stems[name] = np.random.default_rng(number).uniform(-0.2, 0.2, (4, seconds * 48_000, 2))
    return prepared_folder.make_prepared(folder, songs, stems, source='noise')


def encode_folder(out: Path, prepared: Prepared, **changes: object) -> LatentManifest | None:
    """Encodes this host's share; `changes` are of `write_latents`' arguments."""
    settings: dict = {
        'encode': encode,
        'encode_text_states': encode_text,
        'clip_frames': CLIP_FRAMES,
        'clips_per_shard': 3,  # a of 3 clips, b and c of 2 and 1, d of 2: three shards
        'channels': CHANNELS,
        'hop_samples': HOP,
        'autoencoder_fingerprint': 'ae',
        'text_encoder': 'letters',
        'text_fingerprint': 'words',
        'max_tokens': 12,
    }
    return write_latents(out, prepared, **settings | changes)


def write(out: Path, prepared: Prepared, **changes: object) -> Latents:
    """The folder that `encode_folder` makes, opened."""
    encode_folder(out, prepared, **changes)
    return Latents(out)
