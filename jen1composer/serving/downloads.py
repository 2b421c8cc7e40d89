"""Sessions as files: stems and mix to take away, a whole session to take away and bring again.

    session.zip = session.json, takes/ID.npy, takes/ID.upload.npy

(see `generation.session_folder`)

What is brought may be anything: only files of just these names are taken out of it, each path made
anew of the id that its name has; what they hold together is bounded while it is unpacked, whatever
the archive says; and the session in them is looked through field by field.
"""

import contextlib
import json
import math
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import numpy as np
from fastapi import Response
from fastapi.responses import StreamingResponse

from jen1composer.errors import BadInput
from jen1composer.generation.actions import ACTIONS, action_from_json
from jen1composer.generation.lane_takes import LaneTake
from jen1composer.generation.mixdown import mixdown
from jen1composer.generation.session import Piece, Session
from jen1composer.generation.session_folder import open_session, session_files
from jen1composer.generation.stems import fit_full_scale, write_stems
from jen1composer.serving.limits import BESIDE_BYTES, BYTES_A_SECOND

TAKE = re.compile(r'takes/([0-9a-f]{16})(\.upload)?\.npy')
CHUNK = 1 << 20
JSON_BYTES = 4 << 20
MOST_FILES = 10_000


def mix(session: Session, lufs: float | None, kind: str) -> np.ndarray:
    """What is heard, [sample, 2]; for FLAC it is brought within full scale."""
    audio = mixdown(session, lufs)
    return audio if kind == 'wav' else fit_full_scale(audio)[0]


def stems_zip(session: Session, kind: str) -> Response:
    """All that `write_stems` writes, as one archive."""
    with tempfile.TemporaryDirectory() as folder:
        write_stems(folder, session, kind)
        paths = sorted(path for path in pathlib.Path(folder).rglob('*') if path.is_file())
        files = ((path.relative_to(folder).as_posix(), path.read_bytes) for path in paths)
        return _zip(files, 'stems.zip')


def session_zip(session: Session) -> Response:
    """The files of a session's folder as one archive."""
    return _zip(session_files(session), 'session.zip')


def open_zip(file: IO[bytes], *, limit_s: float) -> Session:
    """The session of a `session.zip`; raises BadInput for whatever else it is.

    `limit_s` is how many seconds its sounds may last together.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / 'takes').mkdir()
        try:
            with zipfile.ZipFile(file) as archive:
                _unpack(archive, folder, room=round(limit_s * BYTES_A_SECOND) + BESIDE_BYTES)
            session = open_session(folder)
            _check(session)
        except BadInput as error:  # it may name the folder, which tells nobody anything
            raise BadInput(str(error).replace(f'{name}/', '').replace(name, 'file')) from error
        except Exception as error:  # of a hand-made file anything can come
            reason = str(error).replace(f'{name}/', '')
            raise BadInput(f'file: is no session that can be opened ({reason})') from error
    return session


def _unpack(archive: zipfile.ZipFile, folder: pathlib.Path, room: int) -> None:
    files = [info for info in archive.infolist() if not info.is_dir()]
    if len(files) > MOST_FILES:
        raise BadInput(f'file: holds {len(files)} files; allowed are {MOST_FILES}')
    for info in files:
        found = TAKE.fullmatch(info.filename)
        if found:
            path = folder / 'takes' / f'{found[1]}{found[2] or ""}.npy'
        elif info.filename == 'session.json':
            path = folder / 'session.json'
        else:
            raise BadInput('file: holds what is no part of a session; give a session.zip')
        most = room if found else min(room, JSON_BYTES)
        with archive.open(info) as packed, path.open('xb') as file:
            room -= _copy(packed, file, most)
        if found:
            _check_array(path)


def _copy(packed: IO[bytes], file: IO[bytes], most: int) -> int:
    """Copies it and returns its length; raises BadInput above `most` bytes."""
    length = 0
    while part := packed.read(CHUNK):
        length += len(part)
        if length > most:
            raise BadInput('file: holds more than a session may; give a shorter one')
        file.write(part)
    return length


def _check_array(path: pathlib.Path) -> None:
    """Raises BadInput unless the file is as long as its header says, and of sound."""
    with path.open('rb') as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise BadInput(f'{path.name}: is no sound of a session')
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        fits = dtype in (np.float32, np.float64) and len(shape) == 2 and shape[1] in (1, 2)
        held = path.stat().st_size - file.tell()
        if not fits or not shape[0] or math.prod(shape) * dtype.itemsize != held:
            raise BadInput(f'{path.name}: is no sound of a session')


def _check(session: Session) -> None:
    """Raises an error of some kind unless all fields are what `session_steps` would make them."""
    _need(len(session.pieces) == len(session.asked) and len(session.pieces) > 0)
    _need(_is_count(session.at) and session.at < len(session.pieces))
    _need(_is_count(session.revision))
    for asked in session.asked:
        json.loads(asked)
    for piece in session.pieces:
        _check_piece(piece)


def _check_piece(piece: Piece) -> None:
    _need(_is_count(piece.num_samples) and type(piece.start) is int and abs(piece.start) < 2**40)
    names = ('prompt', 'tempo_bpm', 'key', 'chords')
    said = {name: getattr(piece, name) for name in names}
    action_from_json({'do': 'set', 'seconds': piece.seconds, **said})
    for lane in piece.lanes:
        mixed = {'gain_db': lane.gain_db, 'muted': lane.muted, 'solo': lane.solo}
        action_from_json({'do': 'mix', 'track': lane.track, **mixed})
        _need(isinstance(lane.kept, bool))
        _need(lane.current is None or lane.current in lane.takes)
        for take in lane.takes:
            _check_take(take)


def _check_take(take: LaneTake) -> None:
    about, audio = take.about, take.audio
    _need(audio.dtype == np.float32 and audio.shape[1] == 2)
    _need(about.how in ACTIONS and isinstance(json.loads(about.asked), dict))
    _need(type(about.start) is int and abs(about.start) < 2**40)
    _need(all(0 <= start < end <= len(audio) for start, end in about.holes))
    texts: tuple[Any, ...] = (about.words, about.prompt, about.name, about.source or '')
    _need(all(isinstance(text, str) for text in (*texts, *sum(about.given, ()))))
    numbers = (about.seed, about.trained_steps, about.rate)
    _need(all(value is None or _is_count(value) for value in numbers) and bool(about.rate))


def _need(right: bool) -> None:
    if not right:
        raise BadInput('session.json: holds what no session does; give a session.zip')


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _zip(files: Iterable[tuple[str, Callable[[], bytes]]], name: str) -> Response:
    """An answer of files by their names; they are read here, one at a time. Sound packs badly."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  closed when all is sent
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_STORED) as archive:
        for inside, data in files:
            archive.writestr(inside, data())
    length = file.tell()
    headers = {
        'Content-Length': str(length),
        'Content-Disposition': f'attachment; filename="{name}"',
        'Cache-Control': 'no-store',
    }
    return StreamingResponse(_parts(file), media_type='application/zip', headers=headers)


def _parts(file: IO[bytes]) -> Iterator[bytes]:
    with contextlib.closing(file):
        file.seek(0)
        while part := file.read(CHUNK):
            yield part
