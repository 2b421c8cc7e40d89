"""What transformers made of tiny T5s, see tests/peers/record_t5.py, with the folders as files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.peers import live

PATH = live.HERE / 't5.npz'
VARIANTS = ('gated', 'relu')

Recording = Mapping[str, np.ndarray]


def read(path: Path = PATH) -> Recording:
    with np.load(path) as file:
        return dict(file)


def part(recording: Recording, prefix: str) -> Recording:
    """What stands below `prefix`, which is left off."""
    return {
        key.removeprefix(f'{prefix}/'): value
        for key, value in recording.items()
        if key.startswith(f'{prefix}/')
    }


def write_folder(folder: Path, variant: str, recording: Recording | None = None) -> Path:
    """Writes the Hugging Face folder of `variant`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in part(recording or read(), f'{variant}/file').items():
        (folder / name).write_bytes(data.tobytes())
    return folder
