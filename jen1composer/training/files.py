"""Files that are whole or not there: written aside and renamed."""

import os

from etils import epath


def write_whole(path: epath.PathLike, data: bytes) -> None:
    """Replaces `path` by `data`; killed at any moment, it holds the old or the new whole."""
    path = epath.Path(path)
    aside = path.with_name(f'{path.name}.{os.getpid()}.aside')
    aside.write_bytes(data)
    aside.replace(path)
