"""What was measured, kept: a cell is a name, all that decides it, numbers and arrays.

    DIR/cells/<name>-<hash>.npz    the hash is of all that decides what is found

so a cell that is asked for again under the same is read, and under another is measured beside it.
The sources that measure are among what decides.
"""

import hashlib
import io
import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from jen1composer.training.files import write_whole

# Below the package. Not those of tables, so that another table measures nothing again.
SOURCES = (
    'evaluation/coherence',
    'evaluation/distances',
    'evaluation/frechet',
    'evaluation/intervals',
    'evaluation/levels',
    'evaluation/log_mel',
    'evaluation/measuring',
    'evaluation/onsets',
    'evaluation/rhythm',
    'evaluation/track_tags',
    'evaluation/windows',
    'generation/mixdown',
    'generation/soundness',
)
_FOUND = '__found__'


class Cell(NamedTuple):
    """What was found."""

    found: Any  # JSON
    arrays: Mapping[str, np.ndarray]


def cell(
    folder: epath.Path, name: str, decided_by: Mapping[str, Any], measure: Callable[[], Cell]
) -> Cell:
    """The cell `name`, measured now where it is not known or its file is damaged."""
    key = json.dumps([name, dict(decided_by), fingerprint()], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = folder / 'cells' / f'{name.replace("/", "-")}-{digest}.npz'
    if path.exists():
        try:
            return _read(path.read_bytes())
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _bytes(measure()))
    return _read(path.read_bytes())  # as it will be read again


def fingerprint() -> str:
    """Of the sources that measure."""
    package = pathlib.Path(__file__).parents[1]
    texts = [(package / f'{name}.py').read_bytes() for name in SOURCES]
    return hashlib.sha256(b'\0'.join(texts)).hexdigest()


def _bytes(value: Cell) -> bytes:
    file = io.BytesIO()
    found = np.frombuffer(json.dumps(value.found).encode(), np.uint8)
    np.savez_compressed(file, allow_pickle=False, **{_FOUND: found}, **value.arrays)
    return file.getvalue()


def _read(data: bytes) -> Cell:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return Cell(json.loads(arrays.pop(_FOUND).tobytes()), arrays)
