"""Prepared folders for the tests, of any sound, without a source."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from data_pipeline.records import Prepared, write_prepared
from data_pipeline.songs import Song, digest, write_song


def song(name: str, split: str = 'train', **fields: Any) -> Song:
    """What is known of a song before it is written."""
    unknown: dict[str, Any] = {
        'title': name,
        'key': digest(name),
        'num_samples': 0,
        'tags': {},
        'prompts': (f'song {name}',),
        'rms_db': {},
        'active': {},
        'loudness_lufs': None,
        'source_sha256': digest(name),
        'audio_sha256': '',
        'flac_bytes': {},
    }
    return Song(id=name, split=split, **unknown | fields)


def make_prepared(
    folder: Path, songs: Sequence[Song], stems: Mapping[str, np.ndarray], source: str = 'test'
) -> Prepared:
    """A prepared folder of `songs` whose sound is `stems[id]`, float `[track, sample, 2]`."""
    written = [write_song(folder, s, stems[s.id].astype(np.float32)) for s in songs]
    write_prepared(folder, written, source=source, settings={})
    return Prepared(folder)
