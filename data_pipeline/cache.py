"""Local files for what reads and writes no others: ArrayRecords and memory maps.

1. A file of this machine is read where it lies, unless a cache is asked for.
2. Any other is copied into the cache when it is first used, under a name that is the hash of its
   address, size and time of change: one that is replaced at its source is copied again.
3. A copy is written aside and renamed, and is as long as its source: under its name it is whole.
4. Who copies holds a lock on the file aside. Of several processes and threads one copies and the
   others wait; one that is killed loses its lock, and the next begins anew in the same place.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

from etils import epath

from data_pipeline.folders import aside

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
    Raises OSError where there is no such file, or not all of it came.
    """
    path = epath.Path(path)
    if cache is None and not is_remote(path):
        return pathlib.Path(path)
    stat = path.stat()
    identity = f'{path}\n{stat.length}\n{stat.mtime}'
    name = f'{hashlib.sha256(identity.encode()).hexdigest()[:32]}-{path.name}'
    folder = pathlib.Path(cache) if cache else default_cache()
    target = folder / name
    if not _is_whole(target, stat.length):
        folder.mkdir(parents=True, exist_ok=True)
        _copy(path, stat.length, target)
    return target


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
    with unfinished.open('ab') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if _is_whole(target, num_bytes):  # Another has copied it meanwhile.
            unfinished.unlink(missing_ok=True)
            return
        file.truncate(0)
        with path.open('rb') as source:
            shutil.copyfileobj(source, file, BLOCK_BYTES)
        file.flush()
        found = os.fstat(file.fileno()).st_size
        if found != num_bytes:
            raise OSError(f'{path}: {found} bytes came of {num_bytes}')
        unfinished.replace(target)
