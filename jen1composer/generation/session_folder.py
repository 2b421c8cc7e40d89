"""A session as a folder, opened again exactly, audio too.

    DIR/session.json           all that is no sound, and the SHA-256 of that
    DIR/takes/ID.npy           the sound of a take, float32 [sample, 2] at 48 kHz
    DIR/takes/ID.upload.npy    what was uploaded, where that is something else

(1) Every file is written aside and renamed, takes before `session.json`: killed at any moment, the
    folder holds the session before or after. It is on the disk when `save_session` returns, so a
    cut of power takes nothing back.
(2) A take never changes and is named by a hash, so a take whose files are there is not written
    again, and pieces share it; files of takes that the session has no more are removed at the end.
(3) `session.json` states the SHA-256 of its content and of every sound; a file that is missing, cut
    off or changed is refused by its name, or its take is there as one that is lost.

A folder has one writer at a time: a process that holds `lock_session`, or the server whose it is.
"""

import dataclasses
import fcntl
import functools
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any

import numpy as np
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.generation.lane_takes import (
    LaneTake,
    about_from_json,
    digest,
    npy_bytes,
    take_id,
)
from jen1composer.generation.session import Lane, Piece, Session
from jen1composer.training.files import in_bucket, sync_folder, write_whole

VERSION = 1
NAME, LOCK = 'session.json', 'lock'


def lock_session(folder: epath.PathLike) -> IO[bytes] | None:
    """Makes this process the folder's one writer until what is returned is closed; begins it.

    Raises BadInput where another process is. A bucket has no locks: there it is None.
    """
    if in_bucket(folder):
        return None
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = open(folder / LOCK, 'ab')  # noqa: SIM115  its life is the lock's
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        line = f'{folder}: another process works on this session; wait until it has ended'
        raise BadInput(line) from None
    return file


def save_session(folder: epath.PathLike, session: Session, *, after: Session | None = None) -> None:
    """Makes `folder` hold `session`; what it held before is replaced.

    Where `after` is given, that is what it has to hold before: raises BadInput where another
    process has changed it meanwhile.
    """
    folder = epath.Path(folder)
    if after is not None and (folder / NAME).exists():
        found = _said(folder)[2]['revision']
        if found != after.revision:
            raise BadInput(
                f'{folder}: was changed meanwhile, to revision {found} from {after.revision}; '
                'open it again'
            )
    if not folder.exists():
        folder.mkdir(parents=True)
        sync_folder(folder.parent)
    (folder / 'takes').mkdir(exist_ok=True)
    for name, data in session_files(session):
        if name == NAME:
            sync_folder(folder / 'takes')
        elif (folder / name).exists():
            continue
        write_whole(folder / name, data())
    sync_folder(folder)
    takes = _takes(session)
    wanted = {name for take in takes.values() for name in _files(take)}
    for path in (folder / 'takes').iterdir():  # (2)
        if f'takes/{path.name}' not in wanted:
            path.unlink()


def session_files(session: Session) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, what makes its bytes) of every file of the folder, `session.json` as the last."""
    takes = _takes(session)
    for take in takes.values():
        if take.lost:
            continue
        for name, array in zip(_files(take), _arrays(take), strict=True):
            yield name, functools.partial(npy_bytes, array)
    content = _to_json(session, takes)
    said = {'version': VERSION, 'sha256': digest(_canonical(content)), 'session': content}
    yield NAME, functools.partial(_canonical, said)


def open_session(folder: epath.PathLike, *, lost_ok: bool = False) -> Session:
    """The session that was saved; raises BadInput, naming the file, for what is damaged.

    Where `lost_ok`, a take whose sound is damaged or missing is there as one that is `lost`, and
    its files stay as they are: one bad take of a step long undone closes no piece.
    """
    folder = epath.Path(folder)
    path = folder / NAME
    version, sha256, content = _said(folder)
    if version != VERSION:
        raise BadInput(f'{path}: version {version!r}; allowed is {VERSION}')
    if digest(_canonical(content)) != sha256:
        raise BadInput(f'{path}: is not as it was written; its SHA-256 is another')
    try:
        takes = {
            name: _take(folder, name, about, lost_ok) for name, about in content['takes'].items()
        }
        return Session(
            pieces=tuple(_piece(value, takes) for value in content['pieces']),
            asked=tuple(content['asked']),
            at=content['at'],
            revision=content['revision'],
        )
    except (KeyError, TypeError, AttributeError) as error:  # right by its hash, but not ours
        raise BadInput(f'{path}: holds no session ({type(error).__name__}: {error})') from error


def _said(folder: epath.Path) -> tuple[Any, Any, Any]:
    """Version, SHA-256 and content of `session.json`."""
    path = folder / NAME
    try:
        said = json.loads(path.read_bytes())
        return said['version'], said['sha256'], said['session']
    except OSError as error:
        raise BadInput(
            f'{folder}: holds no session ({error.strerror} of {NAME}); allowed is a folder of '
            'save_session'
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(f'{path}: is cut off or damaged; needed is the whole file') from error


def _to_json(session: Session, takes: Mapping[str, LaneTake]) -> dict[str, Any]:
    return {
        'at': session.at,
        'revision': session.revision,
        'asked': list(session.asked),
        'takes': {
            name: {'about': dataclasses.asdict(take.about), 'digests': list(take.digests)}
            for name, take in takes.items()
        },
        'pieces': [
            {field.name: getattr(piece, field.name) for field in dataclasses.fields(Piece)}
            | {'lanes': [_lane_to_json(lane) for lane in piece.lanes]}
            for piece in session.pieces
        ],
    }


def _lane_to_json(lane: Lane) -> dict[str, Any]:
    """The fields of a lane, takes by their ids."""
    plain = {field.name: getattr(lane, field.name) for field in dataclasses.fields(Lane)}
    current = lane.current.id if lane.current else None
    return plain | {'takes': [take.id for take in lane.takes], 'current': current}


def _piece(value: Mapping[str, Any], takes: Mapping[str, LaneTake]) -> Piece:
    lanes = tuple(
        Lane(
            **{
                **lane,
                'takes': tuple(takes[name] for name in lane['takes']),
                'current': None if lane['current'] is None else takes[lane['current']],
            }
        )
        for lane in value['lanes']
    )
    return Piece(**{**value, 'lanes': lanes})


def _take(folder: epath.Path, name: str, value: Mapping[str, Any], lost_ok: bool) -> LaneTake:
    """A take with the sound of its files; refuses what is not that take."""
    about, digests = about_from_json(value['about']), tuple(value['digests'])
    if take_id(about, digests) != name:  # so the name is no path either
        raise BadInput(f'{folder / NAME}: take {name!r} is not what its id says')
    try:
        arrays = [
            _array(folder / file, sha256)
            for file, sha256 in zip(_file_names(name), digests, strict=False)
        ]
    except BadInput:
        if not lost_ok:
            raise
        silence = np.zeros((1, 2), np.float32)
        return LaneTake(id=name, about=about, audio=silence, digests=digests, lost=True)
    original = arrays[-1] if about.how == 'upload' else None
    return LaneTake(id=name, about=about, audio=arrays[0], original=original, digests=digests)


def _array(path: epath.Path, sha256: str) -> np.ndarray:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f'{path}: cannot be read ({error.strerror}); the session needs it'
        ) from error
    if digest(data) != sha256:
        raise BadInput(f'{path}: is cut off or changed; its SHA-256 is not that of the session')
    array = np.load(io.BytesIO(data), allow_pickle=False)
    array.setflags(write=False)
    return array


def _takes(session: Session) -> dict[str, LaneTake]:
    """Every take of every piece, by its id."""
    return {
        take.id: take for piece in session.pieces for lane in piece.lanes for take in lane.takes
    }


def _arrays(take: LaneTake) -> Iterator[np.ndarray]:
    """What has a file: as many arrays as the take has digests."""
    yield take.audio
    if take.original is not None and len(take.digests) > 1:
        yield take.original


def _files(take: LaneTake) -> tuple[str, ...]:
    return _file_names(take.id)[: len(take.digests)]


def _file_names(name: str) -> tuple[str, str]:
    return f'takes/{name}.npy', f'takes/{name}.upload.npy'


def _canonical(content: Any) -> bytes:
    """The same bytes for the same JSON value."""
    return json.dumps(content, sort_keys=True, separators=(',', ':')).encode()
