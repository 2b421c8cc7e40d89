"""Many JSON values in one file, a line each, parsed when they are asked for.

The file is mapped into memory, not read into it: what is held is where each line begins. Its hash
stands in the manifest of the folder that it belongs to.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.cache import local, writing
from jen1composer.errors import BadInput


def write_json_lines(path: epath.Path, values: Iterable[Any]) -> str:
    """Writes `values` aside and renames the file; returns its SHA-256."""
    sha256 = hashlib.sha256()
    with writing(path) as unfinished, unfinished.open('wb') as file:
        for value in values:
            line = json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode() + b'\n'
            sha256.update(line)
            file.write(line)
    return sha256.hexdigest()


class JsonLines(Sequence[Any]):
    """The values of a file; usable from many threads, picklable."""

    def __init__(self, path: epath.Path, sha256: str, *, remedy: str, cache: str | None = None):
        """Reads the file once; raises BadInput where it is missing or of another hash."""
        found, ends = hashlib.sha256(), [0]
        try:
            self._path = local(path, cache)
            with self._path.open('rb') as file:
                for line in file:
                    found.update(line)
                    ends.append(ends[-1] + len(line))
        except OSError as error:
            raise BadInput(f'{path}: cannot be read ({error}); {remedy}') from error
        if found.hexdigest() != sha256:
            raise BadInput(f'{path}: cut off or damaged, by its SHA-256; {remedy}')
        self._ends = np.array(ends)
        self._map()

    def _map(self) -> None:
        with self._path.open('rb') as file:
            length = int(self._ends[-1])  # A file of nothing cannot be mapped.
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if length else b''

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, position: Any) -> Any:
        if not 0 <= position < len(self):
            raise IndexError(position)
        return json.loads(self._data[self._ends[position] : self._ends[position + 1]])

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {'_path': self._path, '_ends': self._ends}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._map()
