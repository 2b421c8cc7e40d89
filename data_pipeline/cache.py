"""Local files for what reads and writes no others: ArrayRecords and memory maps.

1. A file of this machine is read where it lies, unless a cache is asked for.
2. Any other is copied into the cache when it is first used, under a name that is the hash of its
   address, size and time of change: one that is replaced at its source is copied again. A local
   file's address is its real path, whatever it was called by.
3. A copy is written aside and renamed, and is as long as its source: under its name it is whole.
4. Who copies holds a lock on the file aside. Of several processes and threads one copies and the
   others wait; one that is killed loses its lock, and the next begins anew in the same place.
5. Trouble with the cache is told as that, not as damage of what is copied.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

from etils import epath

from data_pipeline.folders import aside
from jen1composer.errors import BadInput

BLOCK_BYTES = 1 << 24


def is_remote(path: epath.PathLike) -> bool:
    """Whether `path` is an address, such as gs://bucket/folder, rather than a local path."""
    return '://' in os.fspath(path)


def default_cache() -> pathlib.Path:
    """`jen1composer/records` in `$XDG_CACHE_HOME`, or in ~/.cache."""
    caches = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    return caches / 'jen1composer' / 'records'


def local(path: epath.PathLike, cache: str | None = None) -> pathlib.Path:
    """A local path to the content of `path`: itself, or its copy in the folder `cache`.

    A remote file is copied into `default_cache()` where `cache` is None.
    Raises OSError where there is no such file, or not all of it came; BadInput where the cache
    does not take it.
    """
    path = epath.Path(path)
    if not is_copied(path, cache):
        return pathlib.Path(path)
    identity, num_bytes = _identity(path)
    name = f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}-{path.name}'
    folder = pathlib.Path(cache) if cache else default_cache()
    target = folder / name
    with _trouble_of(folder):
        whole = _is_whole(target, num_bytes)
        if not whole:
            folder.mkdir(parents=True, exist_ok=True)
    if not whole:
        _copy(path, num_bytes, target)
    return target


def is_copied(path: epath.PathLike, cache: str | None) -> bool:
    """Whether `local` gives a copy of `path`, not `path` itself."""
    return cache is not None or is_remote(path)


def _identity(path: epath.Path) -> tuple[str, int]:
    """What tells a file from others and from what it was before, and its length in bytes."""
    if is_remote(path):
        far = path.stat()
        return f'{path}\n{far.length}\n{far.mtime}', far.length
    here = pathlib.Path(path).resolve()
    stat = here.stat()
    return f'{here}\n{stat.st_size}\n{stat.st_mtime_ns}', stat.st_size


@contextlib.contextmanager
def _trouble_of(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f'cache: {folder}: {error.strerror or error}; allowed is a writable folder with room'
        ) from error


@contextlib.contextmanager
def writing(path: epath.Path) -> Iterator[pathlib.Path]:
    """A local file to be written that becomes `path`, local or remote, when all went well."""
    unfinished = aside(path)
    if is_remote(path):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path.name
            yield file
            epath.Path(file).copy(unfinished, overwrite=True)
    else:
        yield pathlib.Path(unfinished)
    unfinished.replace(path)


def _is_whole(target: pathlib.Path, num_bytes: int) -> bool:
    try:
        return target.stat().st_size == num_bytes
    except FileNotFoundError:
        return False


def _copy(path: epath.Path, num_bytes: int, target: pathlib.Path) -> None:
    unfinished = target.with_name(f'{target.name}.aside')
    with _trouble_of(target.parent):
        file = _locked(unfinished)
    with file:
        if _is_whole(target, num_bytes):  # Another has copied it meanwhile.
            unfinished.unlink(missing_ok=True)
            return
        try:
            copy = _Copy(file, target.parent)
            with path.open('rb') as source:
                shutil.copyfileobj(source, copy, BLOCK_BYTES)
            if copy.num_bytes != num_bytes:
                raise OSError(f'{path}: {copy.num_bytes} bytes came of {num_bytes}')
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        with _trouble_of(target.parent):
            unfinished.replace(target)


def _locked(unfinished: pathlib.Path) -> BinaryIO:
    """The file aside, emptied and locked.

    Who held the lock before may have renamed or removed what we waited for: then another is made.
    """
    while True:
        # What is written is there, or is told at once.
        file = cast(BinaryIO, unfinished.open('ab', buffering=0))
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), unfinished.stat()):
                file.truncate(0)
                return file
        file.close()


class _Copy:
    """The file that a copy is written to; its errors are the cache's, not those of the source."""

    def __init__(self, file: BinaryIO, folder: pathlib.Path):
        self._file = file
        self._folder = folder
        self.num_bytes = 0

    def write(self, block: bytes) -> None:
        with _trouble_of(self._folder):
            written = self._file.write(block)
            if written != len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.num_bytes += written
