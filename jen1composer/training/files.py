"""Files that are whole or not there, and files that grow by lines: on a disk and in a bucket.

An object in a bucket is replaced as a whole or not at all, so nothing is renamed there; and it does
not grow: what a bucket does with mode 'a' is to replace the object by what was to be appended.
"""

import os

from etils import epath


def in_bucket(path: epath.PathLike) -> bool:
    """Whether `path` is an address such as gs://bucket/name."""
    return '://' in str(path)


def write_whole(path: epath.PathLike, data: bytes) -> None:
    """Replaces `path` by `data`; killed at any moment, it holds the old or the new whole.

    So it does where power is cut too; that the new one stays needs `sync_folder`.
    """
    path = epath.Path(path)
    if in_bucket(path):
        path.write_bytes(data)
        return
    aside = path.with_name(f'{path.name}.{os.getpid()}.aside')
    with aside.open('wb') as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def sync_folder(path: epath.PathLike) -> None:
    """Returns when the names in a folder are on the disk: what was renamed in it, or begun."""
    if in_bucket(path):
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Lines:
    """A text file that one process adds lines to; each is there when `add` returns.

    On a disk a line is appended. In a bucket all of them are written again: a few megabytes at the
    end of a long run, once per row of metrics.
    """

    def __init__(self, path: epath.PathLike, text: str | None = None):
        """Begins with `text`, else with what is there."""
        self._path = epath.Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if text is not None:
            write_whole(self._path, text.encode())
        self._text = ''  # of a bucket alone
        if in_bucket(path) and self._path.exists():
            self._text = self._path.read_text() if text is None else text

    def add(self, line: str) -> None:
        """Adds `line`, which has no end yet."""
        if in_bucket(self._path):
            self._text += f'{line}\n'
            write_whole(self._path, self._text.encode())
            return
        with self._path.open('a') as file:
            file.write(f'{line}\n')
