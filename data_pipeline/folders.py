"""Folders that a command fills, possibly over several runs.

1. A file is written aside, as `<name>.<process>.aside`, and renamed: under its name it is whole.
2. What a killed run left aside is swept when the next one begins.
3. Nothing is written among files of another origin: a mistyped `--out` costs nobody their work.
"""

import os
from collections.abc import Callable, Collection

from etils import epath

from jen1composer.errors import BadInput


def aside(path: epath.Path) -> epath.Path:
    """Where the file `path` is written before it is renamed."""
    return path.with_name(f'{path.name}.{os.getpid()}.aside')


def refuse_foreign(folder: epath.Path, known: Collection[str], kind: str) -> None:
    """Raises BadInput if the folder `--out` holds anything but `known` names and files aside."""
    if not folder.is_dir():
        return
    names = sorted(path.name for path in folder.iterdir())
    foreign = [name for name in names if name not in known and not name.endswith('.aside')]
    if foreign:
        raise BadInput(
            f'--out={folder}: holds {foreign[0]!r}; allowed is a new folder or one of {kind}'
        )


def open_folder(folder: epath.Path, mine: Callable[[str], bool] = lambda name: True) -> None:
    """Makes the folder `--out` and sweeps it and the folders in it.

    Of what lies aside only files whose name `mine` knows are swept: others may be at work too.
    Raises BadInput if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f'--out={folder}: cannot be made ({error.strerror}); allowed is a folder'
        ) from error
    for path in (*folder.glob('*.aside'), *folder.glob('*/*.aside')):
        if mine(path.name.rsplit('.', 2)[0]):
            path.unlink(missing_ok=True)
