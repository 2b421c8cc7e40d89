"""Records of many ArrayRecord files as one sequence.

1. How many records a file holds is known beforehand, so nothing is opened before it is read.
2. A file is made local when it is first read (`cache`), and checked: its length, its records. A
   copy that is damaged is made once more before its source is called damaged.
3. The files used last are kept open, `OPEN_FILES` of them: there may be more than a process may
   have open. One that is closed while another thread reads it stays open until that is done.
"""

import functools
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from etils import epath

from data_pipeline.cache import is_copied, local, writing
from jen1composer.errors import BadInput

# Read at random: each record by itself, nothing ahead.
READER_OPTIONS = 'readahead_buffer_size:0,max_parallelism:0'
WRITER_OPTIONS = 'group_size:1,uncompressed'
OPEN_FILES = 128


def write_records(path: epath.Path, records: Iterable[bytes]) -> None:
    """Writes a file aside, on this machine, and gives it its name and its place when it is whole.

    Raises OSError where not all of it was written.
    """
    num_bytes = 0
    with writing(path) as unfinished:
        writer = ArrayRecordWriter(os.fspath(unfinished), WRITER_OPTIONS)
        for record in records:
            writer.write(record)
            num_bytes += len(record)
        writer.close()
        if unfinished.stat().st_size < num_bytes:
            raise OSError(f'{path}: not all was written; is the disk full?')


def is_whole(path: epath.Path, num_records: int) -> bool:
    """Whether a local file holds so many records, by its own count of them."""
    try:
        found = ArrayRecordReader(os.fspath(path), options=READER_OPTIONS).num_records()
    except (OSError, RuntimeError, ValueError):
        return False
    return found == num_records


class _DamagedError(Exception):
    """What is wrong with a file, or with its copy."""


class RecordFiles(Sequence[bytes]):
    """The records of `names` in `folder`, in order; usable from many threads, picklable."""

    def __init__(
        self,
        folder: epath.PathLike,
        names: Sequence[str],
        num_records: Sequence[int] | np.ndarray,
        *,
        num_bytes: Sequence[int] | None = None,
        remedy: str,
        cache: str | None = None,
    ):
        """Opens nothing.

        Args:
          folder: local or remote.
          names: of the files.
          num_records: of each file.
          num_bytes: of each file, where it is known.
          remedy: what to do about a file that is damaged, for the error that names it.
          cache: see `cache.local`.
        """
        self.folder = epath.Path(folder)
        self.names = names
        self._ends = np.cumsum(num_records)
        self._num_bytes = num_bytes
        self._remedy = remedy
        self._cache = cache
        self._local: dict[int, pathlib.Path] = {}
        self._reader = functools.lru_cache(OPEN_FILES)(self._open)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, record: Any) -> Any:
        """One record; raises BadInput, naming the file, where it is missing or damaged."""
        if not 0 <= record < len(self):
            raise IndexError(record)
        file = self.file_of(record)
        position = record - (int(self._ends[file - 1]) if file else 0)
        try:
            return self._read(file, position)
        except _DamagedError as error:
            if not is_copied(self.path(file), self._cache):
                raise self._refused(file, error) from error
        self._drop_copy(file)
        try:
            return self._read(file, position)
        except _DamagedError as error:
            raise self._refused(file, error) from error

    def __iter__(self) -> Iterator[bytes]:
        return (self[record] for record in range(len(self)))

    def file_of(self, record: int) -> int:
        """The position in `names` of the file that a record is in."""
        return int(np.searchsorted(self._ends, record, side='right'))

    def path(self, file: int) -> epath.Path:
        return self.folder / self.names[file]

    def _read(self, file: int, position: int) -> bytes:
        try:
            return self._reader(file).read([position])[0]
        except BadInput:
            raise
        except FileNotFoundError as error:
            raise BadInput(f'{self.path(file)}: missing; {self._remedy}') from error
        except (OSError, RuntimeError, ValueError, IndexError) as error:  # array_record's but one.
            raise _DamagedError(' '.join(str(error).split())[:120]) from error

    def _open(self, file: int) -> Any:
        if file not in self._local:  # Asked once: far away, even that takes long.
            self._local[file] = local(self.path(file), self._cache)
        path = self._local[file]
        found = path.stat().st_size
        if self._num_bytes is not None and found != self._num_bytes[file]:
            raise OSError(f'{found} bytes of {self._num_bytes[file]}')
        reader = ArrayRecordReader(os.fspath(path), options=READER_OPTIONS)
        expected = int(self._ends[file] - (self._ends[file - 1] if file else 0))
        if reader.num_records() != expected:
            raise OSError(f'{reader.num_records()} records of {expected}')
        return reader

    def _drop_copy(self, file: int) -> None:
        copy = self._local.pop(file, None)
        if copy is not None:
            copy.unlink(missing_ok=True)
        self._reader.cache_clear()

    def _refused(self, file: int, error: Exception) -> BadInput:
        path, copy = self.path(file), self._local.get(file)
        copied = copy is not None and is_copied(path, self._cache)
        also = f', and so is its new copy {copy}' if copied else ''
        return BadInput(f'{path}: cut off or damaged ({error}){also}; delete it and {self._remedy}')

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ('_reader', '_local')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = {}
        self._reader = functools.lru_cache(OPEN_FILES)(self._open)
