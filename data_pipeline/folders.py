"""Folders that a command fills, possibly over several runs.

1. What is written, is written aside, as `<name>.<process>-<thread>.aside`, and renamed: under its
   name it is whole.
2. What a killed run left aside is swept when the next one begins; what a process of this host that
   is alive writes is not.
3. Nothing is written among files of another origin: a mistyped `--out` costs nobody their work.
"""

import contextlib
import fcntl
import json
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator
from typing import Any

from etils import epath

from jen1composer.errors import BadInput

LOCK = '.lock'


def aside(path: epath.Path) -> epath.Path:
    """Where the file or folder `path` is written before it is renamed."""
    return path.with_name(f'{path.name}.{os.getpid()}-{threading.get_ident()}.aside')


def write_text(path: epath.Path, text: str) -> None:
    """Writes a text file aside and renames it."""
    unfinished = aside(path)
    unfinished.write_text(text)
    unfinished.replace(path)


def write_json(path: epath.Path, value: Any) -> None:
    """Writes a JSON file aside and renames it."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + '\n')


@contextlib.contextmanager
def alone_in(folder: epath.Path) -> Iterator[None]:
    """Keeps other processes of this machine from filling the folder `--out` meanwhile.

    Raises BadInput where one does. A remote folder is not guarded.
    """
    if '://' in str(folder):
        yield
        return
    with open(folder / LOCK, 'a') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadInput(
                f'--out={folder}: another run is filling it; allowed is one at a time'
            ) from error
        yield


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

    Of what lies aside only files whose name `mine` knows are swept, and of these not what another
    living process of this host writes: others may be at work too.
    Raises BadInput if it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f'--out={folder}: cannot be made ({error.strerror}); allowed is a folder'
        ) from error
    for path in [path for depth in ('', '*/', '*/*/') for path in folder.glob(f'{depth}*.aside')]:
        if not mine(path.name.rsplit('.', 2)[0]) or _is_being_written(path.name):
            continue
        if path.is_dir():
            path.rmtree()
        else:
            path.unlink(missing_ok=True)


def _is_being_written(name: str) -> bool:
    """Whether the process that `aside` put into a name is another one and alive, on this host."""
    found = re.search(r'\.([1-9]\d*)-\d+\.aside$', name)
    # In a container a killed run often had the number that this one has.
    if found is None or int(found[1]) == os.getpid():
        return False
    try:
        os.kill(int(found[1]), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # It is somebody else's.
        return True
    return True
