"""What the server does, without HTTP: sessions and their actions, jobs and what they make.

An action for which nothing is composed is done at once. For any other a job is queued, which makes
what the action asks for and does the action when it has been made:

    plan(session, action) -> request -> composition -> apply(session, action, composition)

While a session has a job nothing else is done in it, so the session that the job ends with is the
one that it began with.
"""

import asyncio
import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    Action,
    Compose,
    Composed,
    Set,
    Upload,
    action_from_json,
)
from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.generation.rows import check_control
from jen1composer.generation.session import Session, session_to_json
from jen1composer.generation.session_folder import open_session, save_session
from jen1composer.generation.session_steps import apply, plan
from jen1composer.generation.soundness import warnings_of
from jen1composer.generation.stems import encode_sound, fit_full_scale
from jen1composer.serving.jobs import Flag, Jobs, Progress, QueueFull
from jen1composer.serving.limits import BYTES_A_SECOND, Limits
from jen1composer.serving.metrics import Metrics
from jen1composer.serving.store import Busy, JobRow, Store
from jen1composer.tracks import SAMPLE_RATE, Role

T = TypeVar('T')
STARTER_PROMPT = 'dark driving rock'
LOCKS = 64
HEAVY, HEAVY_WAIT_S = 4, 10.0
DELETE_WAIT_S = 10.0


class Share(Protocol):
    """How much of a composition is done, and the seconds to go; see `engine.StepProgress`."""

    @property
    def share(self) -> float: ...
    @property
    def left_s(self) -> float | None: ...


class ComposeFunction(Protocol):
    """What makes a composition, from several threads at once; see `engine.Engine.compose`."""

    def __call__(
        self, request: Request, *, cancelled: Flag, on_progress: Callable[[Share], None]
    ) -> Composition: ...


class Service:
    """A composer at work for many; see `jobs.Jobs` for its life as a context."""

    def __init__(
        self,
        *,
        composer: Composer,
        compose: ComposeFunction,
        store: Store,
        limits: Limits,
    ):
        self.composer, self.store, self.limits = composer, store, limits
        self.metrics = metrics = Metrics()
        self._compose = compose
        self.jobs = Jobs(store, self._run, limits, metrics)
        self._locks = [threading.RLock() for _ in range(LOCKS)]
        self._open: collections.OrderedDict[str, Session] = collections.OrderedDict()
        self._open_lock = threading.Lock()
        self._starter: Session | None = None
        self.failed: str | None = None  # why it never gets ready
        self._heavy = asyncio.Semaphore(HEAVY)
        metrics.watch('jobs_queued', 'Jobs that wait', lambda: self.jobs.num_queued)
        metrics.watch('jobs_running', 'Jobs that run', lambda: self.jobs.num_running)

    @property
    def tracks(self) -> tuple[str, ...]:
        return tuple(self.composer.spec.tracks)

    @property
    def window_s(self) -> float:
        """The length of a piece where none is named."""
        spec = self.composer.spec
        return spec.window_frames * spec.hop_samples / SAMPLE_RATE

    async def heavy(self, work: Callable[..., T], *args: Any) -> T:
        """`work(*args)` of a request that takes memory, so much of it at a time; raises QueueFull.

        It waits here, where that holds no thread that other requests need.
        """
        try:
            async with asyncio.timeout(HEAVY_WAIT_S):
                await self._heavy.acquire()
        except TimeoutError:
            raise QueueFull(1) from None
        try:
            return await asyncio.to_thread(work, *args)
        finally:
            self._heavy.release()

    @property
    def ready(self) -> bool:
        """Whether music can be asked for: the first piece is made, and the end has not begun."""
        return self._starter is not None and not self.jobs.stopping

    def warm_up(self, num_steps: int) -> None:
        """Makes the piece that new sessions may start with, which compiles all there is."""
        session = Session.new(self.tracks, seconds=self.window_s, prompt=STARTER_PROMPT)
        action = Compose(steps=num_steps)
        request = self._plan(session, action)
        assert request is not None
        flag = Flag(self.limits.job_s)
        composition = self._compose(request, cancelled=flag, on_progress=lambda done: None)
        self._starter = apply(session, action, composition)

    def _plan(self, session: Session, action: Action) -> Request | None:
        return plan(session, action, controlled=self.composer.spec.model.control)

    # Sessions

    def begin(self, session: Session) -> str:
        """A new session like `session`; returns its id."""
        self._check(session)
        if len(self.store.session_rows()) >= self.limits.sessions:
            raise BadInput(
                f'sessions: there are {self.limits.sessions}, as many as fit; delete one first'
            )
        id, folder = self.store.new_session_folder()
        save_session(folder, session)
        self._put(id, session)
        return id

    def starter(self) -> Session | None:
        """A session with music in it; None until it is made."""
        return self._starter

    def session(self, id: str) -> Session:
        """Raises NotFound."""
        folder = self.store.session_folder(id)
        with self._open_lock:
            session = self._open.get(id)
            if session is not None:
                self._open.move_to_end(id)
                return session
        with self._lock(id):
            try:
                session = open_session(folder, lost_ok=True)
            except BadInput as error:  # where the folder lies is nobody's business
                line = str(error).replace(f'{folder}/', '').replace(str(folder), 'session')
                raise BadInput(line) from error
            return self._keep_open(id, session)

    def describe(self, id: str) -> dict[str, Any]:
        """The session as clients see it."""
        session = session_to_json(self.session(id))
        return session | {'id': id, 'job': self.store.job_of(id)}

    def act(
        self, id: str, value: Mapping[str, Any], upload: tuple[Any, int] | None = None
    ) -> str | None:
        """Does the action of the JSON `value`; returns its job's id where it is composed.

        `upload` is the sound of an upload, [sample, channel], and its rate.

        Raises BadInput, NotFound, and Busy where the session has a job.
        """
        with self._lock(id):
            session = self.session(id)
            job = self.store.job_of(id)
            if job is not None:
                raise Busy(job)
            action = action_from_json(value, upload and upload[0])
            if isinstance(action, Upload) and upload:
                action = dataclasses.replace(action, rate=upload[1])
            request = self._plan(session, action)
            if request is None:
                after = self._trimmed(apply(session, action))
                if isinstance(action, Set | Composed):  # others make no piece longer
                    self._check_piece(after)
                if isinstance(action, Upload):
                    self._check_room(after)
                save_session(self.store.session_folder(id), after)
                self._put(id, after)
                return None
            self.limits.check(request, self.tracks)
            roles = request.roles(self.tracks)
            made = [
                name for name, role in zip(self.tracks, roles, strict=True) if role == Role.TARGET
            ]
            self._check_room(session, more_s=len(made) * request.seconds)
            self.store.forget_jobs(self.limits.keep_jobs)
            return self.jobs.submit(
                'action', dict(value), tracks=made, session=id, revision=session.revision
            )

    def delete(self, id: str) -> None:
        """Cancels what is being made in it; raises NotFound, and Busy where that takes long."""
        until = time.monotonic() + DELETE_WAIT_S
        while (job := self.store.job_of(id)) is not None and time.monotonic() < until:
            self.jobs.cancel(job)
            time.sleep(0.02)
        with self._lock(id):
            self.store.delete_session(id)
            with self._open_lock:
                self._open.pop(id, None)

    # Jobs

    def compose_once(self, value: Mapping[str, Any]) -> str:
        """Queues a piece without a session; returns the job's id. Raises BadInput."""
        request = request_from_json(value)
        check_control(request, self.composer.spec)
        self.limits.check(request, self.tracks)
        roles = request.roles(self.tracks)
        tracks = [
            name for name, role in zip(self.tracks, roles, strict=True) if role != Role.MARGINAL
        ]
        self.store.forget_jobs(self.limits.keep_jobs)
        return self.jobs.submit('compose', dict(value), tracks=tracks)

    def _run(self, job: JobRow, flag: Flag, progress: Progress) -> None:
        """What `jobs.Jobs` runs."""
        if job.session is None:
            request = request_from_json(job.body)
            composition = self._made(request, flag, progress)
            takes = composition.takes
            sounds = {name: take.audio for name, take in takes.items()}
            sounds['mix'] = fit_full_scale(composition.mix)[0]
            files = {
                f'{name}.flac': encode_sound(audio, SAMPLE_RATE, 'flac')
                for name, audio in sounds.items()
            }
            warnings = {name: warnings_of(take.audio, take.holes) for name, take in takes.items()}
            said = {name: words for name, words in warnings.items() if words}
            self.store.put_files(job.id, files, said)
            return
        session = self.session(job.session)
        if session.revision == job.revision:  # else it was done, and killed before it could say so
            action = action_from_json(job.body)
            request_of = self._plan(session, action)
            assert request_of is not None  # it was one when the job was queued, and nothing changed
            composition = self._made(request_of, flag, progress)
            session = self._trimmed(apply(session, action, composition))
        with self._lock(job.session):
            save_session(self.store.session_folder(job.session), session)
            self._put(job.session, session, job=job.id)

    def _made(self, request: Request, flag: Flag, progress: Progress) -> Composition:
        composition = self._compose(
            request, cancelled=flag, on_progress=lambda done: progress(done.share, done.left_s)
        )
        flag.check()
        made = sum(len(take.audio) for take in composition.takes.values() if take.holes)
        self.metrics.audio_seconds.inc(made / SAMPLE_RATE)
        return composition

    # Inside

    def _lock(self, id: str) -> threading.RLock:
        return self._locks[hash(id) % LOCKS]

    def _put(self, id: str, session: Session, job: str | None = None) -> None:
        """The folder of `id` holds `session` now."""
        self._keep_open(id, session)  # first, so that who sees the job done sees what came of it
        self.store.put_session(id, session.piece.prompt, session.piece.seconds, job=job)

    def _keep_open(self, id: str, session: Session) -> Session:
        with self._open_lock:
            self._open[id] = session
            self._open.move_to_end(id)
            held = sum(map(_num_bytes, self._open.values()))
            while held > self.limits.open_bytes and len(self._open) > 1:
                _, oldest = self._open.popitem(last=False)
                held -= _num_bytes(oldest)
        return session

    def _trimmed(self, session: Session) -> Session:
        """The session without the oldest of more steps than are kept."""
        gone = len(session.pieces) - 1 - self.limits.history
        if gone <= 0 or session.at < gone:
            return session
        return dataclasses.replace(
            session,
            pieces=session.pieces[gone:],
            asked=('{}', *session.asked[gone + 1 :]),
            at=session.at - gone,
        )

    def _check(self, session: Session) -> None:
        """Raises BadInput for a session that is larger than allowed."""
        self._check_piece(session)
        self._check_room(session)

    def _check_piece(self, session: Session) -> None:
        self.limits.check_seconds(session.piece.seconds)
        self.limits.check_prompt(session.piece.prompt)

    def _check_room(self, session: Session, more_s: float = 0.0) -> None:
        """Raises BadInput where its takes, and `more_s` of new ones, are more than it may hold."""
        held_s = _num_bytes(session) / BYTES_A_SECOND + more_s
        if held_s > self.limits.session_s:
            raise BadInput(
                f'session: with this its takes last {held_s:.0f} s, allowed are '
                f'{self.limits.session_s:g}; forget what is not heard, or begin another session'
            )


def request_from_json(value: Mapping[str, Any]) -> Request:
    """The request of a piece without a session; raises BadInput, naming the field."""
    return Request(
        prompt=value.get('prompt') or '',
        targets=tuple(value.get('targets') or ()),
        marginal=tuple(value.get('marginal') or ()),
        seconds=value['seconds'],
        seed=value['seed'],
        num_steps=value['steps'],
        text_guidance=value.get('guidance'),
        bpm=value.get('bpm'),
        key=value.get('key') or '',
        chords=value.get('chords') or '',
        control_guidance=value.get('control_guidance'),
    )


def _num_bytes(session: Session) -> int:
    """Of all sound that the session holds."""
    takes = {
        take.id: take for piece in session.pieces for lane in piece.lanes for take in lane.takes
    }
    return sum(take.num_bytes for take in takes.values())
