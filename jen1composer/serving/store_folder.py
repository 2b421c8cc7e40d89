"""The folder of a server: whether it is one, and what was killed halfway in it.

What is no server's is left alone: a folder with other things in it is refused, and in one of ours
only what has the name that an id has is ever touched.

(1) A session's folder without a row was killed before its row was written, or the database was
    lost: one that can be opened is taken in again, and one that cannot goes to FOLDER/lost.
(2) `ID.aside` is half of something: of a session that was being deleted, or of a job's result.
(3) A job's folder without a row is sound that nobody can ask for; it goes.

Where the database is new, nothing goes: it knows of nothing.
"""

import pathlib
import re
import shutil
from collections.abc import Callable, Collection

from jen1composer.errors import BadInput
from jen1composer.generation.session import Session
from jen1composer.generation.session_folder import NAME, open_session

ID = re.compile(r'[0-9a-f]{32}')
DATABASE, LOCK = 'server.sqlite3', 'lock'
ASIDE = '.aside'


def check_ours(folder: pathlib.Path) -> None:
    """Raises BadInput for a folder that holds what no server put there."""
    if not folder.exists() or (folder / DATABASE).exists() or (folder / LOCK).exists():
        return
    for place in folder.iterdir():
        if place.name != 'lost+found' and not place.name.startswith('.'):  # of a disk, of a system
            raise BadInput(
                f"{folder}: holds {place.name}, which is no server's; allowed is an empty folder, "
                'or one that a server used'
            )


def sweep_sessions(
    folder: pathlib.Path,
    known: Collection[str],
    adopt: Callable[[str, Session], None],
    *,
    is_new: bool,
) -> None:
    """Equations (1) and (2) of FOLDER/sessions; `adopt` makes a row of an id and its session."""
    for place in _places(folder / 'sessions'):
        id = place.name.removesuffix(ASIDE)
        if id in known and place.name == id:
            continue
        if id in known:  # killed while it was deleted, before its row went
            place.replace(place.with_name(id))
        elif place.name != id or not (place / NAME).exists():
            _remove(place, is_new)
        else:
            try:
                session = open_session(place)
            except BadInput:
                lost = folder / 'lost'
                lost.mkdir(exist_ok=True)
                place.replace(lost / id)
            else:
                adopt(id, session)


def sweep_jobs(folder: pathlib.Path, known: Collection[str], *, is_new: bool) -> None:
    """Equations (2) and (3) of FOLDER/jobs."""
    for place in _places(folder / 'jobs'):
        if place.name not in known:
            _remove(place, is_new)


def _places(folder: pathlib.Path) -> list[pathlib.Path]:
    """What has the name that an id has."""
    return [place for place in folder.iterdir() if ID.fullmatch(place.name.removesuffix(ASIDE))]


def _remove(place: pathlib.Path, is_new: bool) -> None:
    if not is_new:
        shutil.rmtree(place, ignore_errors=True)
