"""What transformers made of a tiny CLAP, see tests/peers/record_clap.py, with its folder as files.

The functions take a recording, so that one made now is held to the same.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests.peers import live

PATH = live.HERE / 'clap.npz'

Recording = Mapping[str, np.ndarray]


def read(path: Path = PATH) -> Recording:
    with np.load(path) as file:
        return dict(file)


def write_folder(folder: Path, recording: Recording | None = None) -> Path:
    """Writes the Hugging Face folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, data in (recording or read()).items():
        if key.startswith('file/'):
            (folder / key.removeprefix('file/')).write_bytes(data.tobytes())
    return folder
