"""What a server remembers: SQLite for what there is, folders for sound.

    FOLDER/server.sqlite3     sessions and jobs
    FOLDER/sessions/ID/       one session each, see `generation.session_folder`
    FOLDER/jobs/ID/*.flac     what came of a job without a session
    FOLDER/lock               held by the server that uses the folder

What is killed at any moment leaves this, whatever it was at:

1. A session's folder is whole, before an action or after it: it is written aside and renamed. Files
   come first and the row second; `store_folder` says what becomes of a folder without a row.
2. A job ends in one transaction, after its sound is in place. Where the server was killed between
   the two, the session is not at the revision any more that the job began with: it is done.
3. A session has one unfinished job at most; the database itself sees to that.

An id from outside is looked up and never used as a path: paths are made of ids of rows.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jen1composer.errors import BadInput
from jen1composer.generation.session import Session
from jen1composer.serving import store_folder
from jen1composer.serving.store_folder import ASIDE, DATABASE, ID, LOCK
from jen1composer.training.files import sync_folder

SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY, prompt TEXT NOT NULL, seconds REAL NOT NULL, changed REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
  body TEXT NOT NULL, session TEXT REFERENCES sessions ON DELETE CASCADE, revision INTEGER NOT NULL,
  state TEXT NOT NULL, error TEXT, attempts INTEGER NOT NULL DEFAULT 0, tracks TEXT NOT NULL,
  warnings TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_job ON jobs (session) WHERE state IN ('queued', 'running');
CREATE INDEX IF NOT EXISTS by_change ON sessions (changed);
"""
JSON_COLUMNS = ('body', 'tracks', 'warnings')
UNFINISHED = "state IN ('queued', 'running')"


class NotFound(Exception):
    """There is nothing of that name."""


class Busy(Exception):
    """The session has a job that is not finished; `job` is its id."""

    def __init__(self, job: str):
        super().__init__('something is being made in this session; wait for it, or cancel it')
        self.job = job


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionRow:
    """What the list of sessions says of one; `changed` is in seconds since 1970."""

    id: str
    prompt: str
    seconds: float
    changed: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job on disk.

    `revision` is the one of the session that it began with, `tracks` are those that it makes, and
    `warnings` say of which of them what is wrong, see `generation.soundness`.
    """

    id: str
    kind: str
    body: Any
    session: str | None
    revision: int
    state: str
    error: str | None
    attempts: int
    tracks: list[str]
    warnings: dict[str, list[str]]


class Store:
    """A folder that one server uses; all methods may be called from any thread.

    Raises BadInput where another server uses it, where it holds what no server put there, and where
    its database is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        store_folder.check_ours(self.folder)
        for place in (self.folder / 'sessions', self.folder / 'jobs'):
            place.mkdir(parents=True, exist_ok=True)
        self._lock_file = (self.folder / LOCK).open('w')
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock_file.close()
            line = f'{self.folder}: another server uses this folder; give one of its own'
            raise BadInput(line) from None
        self._lock = threading.RLock()
        database = self.folder / DATABASE
        is_new = not database.exists()
        try:
            self._db = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            for pragma in ('journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON'):
                self._db.execute(f'PRAGMA {pragma}')
            self._db.executescript(SCHEMA)
            self._sweep(is_new)
        except sqlite3.DatabaseError as error:
            self.close()
            raise BadInput(
                f'{database}: is no database of a server ({error}); move it away, and the sessions '
                'beside it are found again'
            ) from error

    def __enter__(self) -> 'Store':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._lock_file.close()

    # Sessions

    def session_folder(self, session: str) -> pathlib.Path:
        """Where the session lies; raises NotFound unless there is one of that id."""
        return self.folder / 'sessions' / self.session_row(session).id

    def new_session_folder(self) -> tuple[str, pathlib.Path]:
        """An id and a place for a session, which is none until `put_session`."""
        session = secrets.token_hex(16)
        return session, self.folder / 'sessions' / session

    def put_session(
        self, session: str, prompt: str, seconds: float, *, job: str | None = None
    ) -> None:
        """Says that the session's folder holds a new state, and with it that `job` is done."""
        with self._transaction():
            self._db.execute(
                'INSERT INTO sessions VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET '
                'prompt = excluded.prompt, seconds = excluded.seconds, changed = excluded.changed',
                (session, prompt, seconds, time.time()),
            )
            if job is not None:
                self._db.execute("UPDATE jobs SET state = 'done' WHERE id = ?", (job,))

    def session_row(self, session: str) -> SessionRow:
        return SessionRow(**self._one('sessions', session))

    def session_rows(self) -> list[SessionRow]:
        """All sessions, the last changed first."""
        with self._lock:
            rows = self._db.execute('SELECT * FROM sessions ORDER BY changed DESC').fetchall()
        return [SessionRow(**row) for row in rows]

    def delete_session(self, session: str) -> None:
        """Forgets the session with its jobs; raises NotFound, and Busy where one is unfinished."""
        folder = self.session_folder(session)
        with self._transaction():
            job = self.job_of(session)
            if job is not None:
                raise Busy(job)
            self._db.execute('DELETE FROM sessions WHERE id = ?', (session,))
            aside = folder.with_suffix(ASIDE)
            if folder.exists():
                folder.replace(aside)  # so that it is not taken for one whose row was lost
        shutil.rmtree(aside, ignore_errors=True)

    # Jobs

    def job_folder(self, job: str) -> pathlib.Path:
        """Where the result of the job lies; raises NotFound unless there is one of that id."""
        return self.folder / 'jobs' / self.job(job).id

    def add_job(
        self, kind: str, body: Any, *, tracks: Sequence[str], session: str | None, revision: int
    ) -> str:
        """A queued job; raises Busy where the session has one that is not finished."""
        job = secrets.token_hex(16)
        row = (job, kind, json.dumps(body), session, revision, 'queued', json.dumps(list(tracks)))
        with self._transaction():
            try:
                self._db.execute(
                    'INSERT INTO jobs (id, kind, body, session, revision, state, tracks) '
                    'VALUES (?, ?, ?, ?, ?, ?, ?)',
                    row,
                )
            except sqlite3.IntegrityError:
                unfinished = self.job_of(session) if session else None
                if unfinished is None:  # the session went away meanwhile
                    raise NotFound from None
                raise Busy(unfinished) from None
        return job

    def job(self, job: str) -> JobRow:
        row = dict(self._one('jobs', job))
        del row['number']
        return JobRow(**row | {name: json.loads(row[name]) for name in JSON_COLUMNS})

    def job_of(self, session: str) -> str | None:
        """The session's unfinished job."""
        with self._lock:
            row = self._db.execute(
                f'SELECT id FROM jobs WHERE session = ? AND {UNFINISHED}', (session,)
            ).fetchone()
        return row and row['id']

    def unfinished_jobs(self) -> list[JobRow]:
        """Those that are queued, or were running when the server ended; the oldest first."""
        with self._lock:
            rows = self._db.execute(f'SELECT id FROM jobs WHERE {UNFINISHED} ORDER BY number')
            ids = [row['id'] for row in rows.fetchall()]
        return [self.job(job) for job in ids]

    def begin_job(self, job: str) -> JobRow:
        self._update(job, "state = 'running', attempts = attempts + 1")
        return self.job(job)

    def return_job(self, job: str) -> None:
        """Queues a job again that was begun for nothing, which does not count as an attempt."""
        self._update(job, "state = 'queued', attempts = attempts - 1")

    def requeue_job(self, job: str) -> None:
        """Queues a job again that the server was killed at."""
        self._update(job, "state = 'queued'")

    def end_job(self, job: str, state: str, error: str | None = None) -> None:
        self._update(job, 'state = ?, error = ?', state, error)

    def put_files(
        self,
        job: str,
        files: Mapping[str, bytes],
        warnings: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """The result of a job without a session, all of it at once, and that it is done."""
        folder = self.job_folder(job)
        aside = folder.with_suffix(ASIDE)
        for place in (aside, folder):  # of an attempt that was killed
            shutil.rmtree(place, ignore_errors=True)
        aside.mkdir()
        for name, data in files.items():
            with (aside / name).open('wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(aside)
        aside.replace(folder)
        sync_folder(folder.parent)
        self._update(job, "state = 'done', warnings = ?", json.dumps(dict(warnings or {})))

    def forget_jobs(self, keep: int) -> None:
        """Removes finished jobs, with their sound, but for the newest `keep`."""
        with self._transaction():
            rows = self._db.execute(
                f'SELECT id FROM jobs WHERE NOT ({UNFINISHED}) '
                'ORDER BY number DESC LIMIT -1 OFFSET ?',
                (keep,),
            ).fetchall()
            self._db.executemany('DELETE FROM jobs WHERE id = ?', [(row['id'],) for row in rows])
        for row in rows:
            shutil.rmtree(self.folder / 'jobs' / row['id'], ignore_errors=True)

    # Inside

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute('BEGIN IMMEDIATE')
            try:
                yield
            except BaseException:
                self._db.execute('ROLLBACK')
                raise
            self._db.execute('COMMIT')

    def _one(self, table: str, id: str) -> sqlite3.Row:
        if not ID.fullmatch(id):
            raise NotFound
        with self._lock:
            row = self._db.execute(f'SELECT * FROM {table} WHERE id = ?', (id,)).fetchone()
        if row is None:
            raise NotFound
        return row

    def _update(self, job: str, change: str, *values: Any) -> None:
        with self._transaction():
            self._db.execute(f'UPDATE jobs SET {change} WHERE id = ?', (*values, job))

    def _sweep(self, is_new: bool) -> None:
        """Puts in order what was killed halfway, see `store_folder`."""

        def adopt(session: str, found: Session) -> None:
            self.put_session(session, found.piece.prompt, found.piece.seconds)

        known = {
            kind: {row['id'] for row in self._db.execute(f'SELECT id FROM {kind}')}
            for kind in ('sessions', 'jobs')
        }
        store_folder.sweep_sessions(self.folder, known['sessions'], adopt, is_new=is_new)
        store_folder.sweep_jobs(self.folder, known['jobs'], is_new=is_new)
