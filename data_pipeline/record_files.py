"""Records of many ArrayRecord files as one sequence.

1. How many records a file holds is known beforehand, so nothing is opened before it is read.
2. A file is made local when it is first read (`cache`), and checked: its length, its records.
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

from data_pipeline.cache import local, writing
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
        reader = self._reader(file)
        try:
            return reader.read([position])[0]
        except (OSError, RuntimeError, ValueError, IndexError) as error:
            raise self._damaged(file, error) from error

    def __iter__(self) -> Iterator[bytes]:
        return (self[record] for record in range(len(self)))

    def file_of(self, record: int) -> int:
        """The position in `names` of the file that a record is in."""
        return int(np.searchsorted(self._ends, record, side='right'))

    def path(self, file: int) -> epath.Path:
        return self.folder / self.names[file]

    def _open(self, file: int) -> Any:
        try:
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
        except FileNotFoundError as error:
            raise BadInput(f'{self.path(file)}: missing; {self._remedy}') from error
        except (OSError, RuntimeError, ValueError) as error:  # The last two are array_record's.
            raise self._damaged(file, error) from error
        return reader

    def _damaged(self, file: int, error: Exception) -> BadInput:
        reason = ' '.join(str(error).split())[:120]
        return BadInput(
            f'{self.path(file)}: cut off or damaged ({reason}); delete it and {self._remedy}'
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ('_reader', '_local')}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._local = {}
        self._reader = functools.lru_cache(OPEN_FILES)(self._open)
