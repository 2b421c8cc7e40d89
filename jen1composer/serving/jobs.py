"""Work that takes longer than an answer: a bounded queue, a few workers, every state on disk.

    queued -> running -> done | failed | cancelled

1. A job that does not fit in the queue is refused with the seconds after which to ask again.
2. A job's flag stops it: set by who cancels it, by its deadline, or as the server ends.
3. What was queued or running when the server ended is begun again when it starts: a job is a
   function of its body and its session, which nothing else changes meanwhile, so it comes out the
   same. One that was running at several kills is not tried for ever: it has failed.
"""

import collections
import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from jen1composer.errors import BadInput, RunFailed
from jen1composer.serving.limits import Limits
from jen1composer.serving.lines import line_of
from jen1composer.serving.metrics import Metrics
from jen1composer.serving.store import JobRow, Store

CANCELLED, LATE, RETURNED = 'cancelled', 'late', 'returned'
LAST_S = 5.0  # in which a job that is to stop does


class QueueFull(Exception):
    """No more jobs fit; `retry_after_s` is when there may be room."""

    def __init__(self, retry_after_s: int):
        super().__init__(f'as much is waiting as fits; try again in {retry_after_s} s')
        self.retry_after_s = retry_after_s


class Stopping(Exception):
    """The server is ending and takes on nothing new."""


class Stopped(Exception):
    """Raised within a job whose flag is set."""


class Flag:
    """What a running job looks at between steps; like an event that also sets itself when late."""

    def __init__(self, seconds: float):
        self._until = time.monotonic() + seconds
        self._event = threading.Event()
        self.reason: str | None = None

    def set(self, reason: str = CANCELLED) -> None:
        """The first reason stays."""
        self.reason = self.reason or reason
        self._event.set()

    def is_set(self) -> bool:
        if time.monotonic() > self._until:
            self.set(LATE)
        return self._event.is_set()

    def check(self) -> None:
        if self.is_set():
            raise Stopped


@dataclasses.dataclass(kw_only=True)
class Running:
    """A job at work."""

    flag: Flag
    began: float
    share: float = 0.0
    left_s: float | None = None

    def progress(self, share: float, left_s: float | None) -> None:
        """Notes how much is done, and how long the rest takes as far as that is known."""
        self.share = max(self.share, min(1.0, share))
        self.left_s = left_s


Progress = Callable[[float, float | None], None]  # share that is done, seconds left
Run = Callable[[JobRow, Flag, Progress], None]  # does a job and stores its result


class Jobs:
    """A context: workers run from its begin to its end.

    `run` does the work of a job and stores its result as done; it calls `flag.check` or hands the
    flag to who does.
    """

    def __init__(self, store: Store, run: Run, limits: Limits, metrics: Metrics):
        self._store, self._run, self._limits, self._metrics = store, run, limits, metrics
        self._changed = threading.Condition()
        self._queue: collections.deque[str] = collections.deque()
        self._running: dict[str, Running] = {}
        self._recent: collections.deque[float] = collections.deque([5.0], maxlen=32)  # s a job
        self._stopping = False
        self._until = 0.0

    def __enter__(self) -> 'Jobs':
        for job in self._store.unfinished_jobs():
            if job.attempts >= self._limits.attempts:
                line = 'the server was killed while this ran, more than once; it is not tried again'
                self._store.end_job(job.id, 'failed', line)
            else:
                self._store.requeue_job(job.id)
                self._queue.append(job.id)
        for number in range(self._limits.workers):
            threading.Thread(target=self._work, name=f'job-{number}', daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.drain(0.0)

    @property
    def stopping(self) -> bool:
        return self._stopping

    @property
    def num_queued(self) -> int:
        return len(self._queue)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def submit(
        self,
        kind: str,
        body: Any,
        *,
        tracks: Sequence[str],
        session: str | None = None,
        revision: int = 0,
    ) -> str:
        """Queues a job and returns its id; see `Store.add_job`.

        Raises QueueFull, Stopping, and Busy where the session has one already.
        """
        with self._changed:
            if self._stopping:
                raise Stopping
            if len(self._queue) >= self._limits.queue:
                raise QueueFull(self._retry_after_s())
            job = self._store.add_job(kind, body, tracks=tracks, session=session, revision=revision)
            self._queue.append(job)
            self._changed.notify()
        return job

    def cancel(self, job: str) -> None:
        """Ends a queued job at once, and a running one at its next look at its flag."""
        with self._changed:
            if job in self._running:
                self._running[job].flag.set(CANCELLED)
            elif job in self._queue:
                self._queue.remove(job)
                self._end(job, 'cancelled', None)

    def describe(self, job: JobRow) -> dict[str, Any]:
        """The job as clients see it."""
        running = self._running.get(job.id)
        live = running is not None and job.state == 'running'
        progress = running.share if live and running else float(job.state == 'done')
        left_s = running.left_s if live and running else None
        return {
            'id': job.id,
            'state': job.state,
            'progress': round(progress, 4),
            'left_s': None if left_s is None else round(left_s, 1),
            'error': job.error,
            'session': job.session,
            'tracks': job.tracks,
            'warnings': job.warnings,
        }

    def drain(self, grace_s: float) -> None:
        """Takes nothing new, gives what runs so long to finish, and returns the rest to the queue.

        What is returned is on disk and begun again at the next start. The first call says how long.
        """
        with self._changed:
            if not self._stopping:
                self._stopping = True
                self._until = time.monotonic() + grace_s
                self._changed.notify_all()
            self._changed.wait_for(lambda: not self._running, self._until - time.monotonic())
            for running in self._running.values():
                running.flag.set(RETURNED)
            self._changed.wait_for(lambda: not self._running, LAST_S)
            for job in self._running:  # it does not look at its flag
                self._store.return_job(job)

    def _retry_after_s(self) -> int:
        mean_s = sum(self._recent) / len(self._recent)
        return max(1, math.ceil(mean_s * (len(self._queue) + 1) / self._limits.workers / 2))

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                job_id = self._queue.popleft()
                running = Running(flag=Flag(self._limits.job_s), began=time.monotonic())
                self._running[job_id] = running
            try:
                self._do(job_id, running)
            except Exception:  # of the store itself: the worker stays, the job is begun again later
                logging.exception('job %s', job_id)
            finally:
                with self._changed:
                    del self._running[job_id]
                    self._changed.notify_all()

    def _do(self, job_id: str, running: Running) -> None:
        """Does one job; whatever happens in it, it ends in a state that says so."""
        flag = running.flag
        try:
            job = self._store.begin_job(job_id)
            self._run(job, flag, running.progress)
        except Exception as error:
            if flag.reason == RETURNED:
                self._store.return_job(job_id)
                self._metrics.jobs.labels(RETURNED).inc()
            elif flag.reason == LATE:
                self._end(job_id, 'failed', f'took longer than {self._limits.job_s:g} s')
            elif flag.reason == CANCELLED:
                self._end(job_id, 'cancelled', None)
            elif isinstance(error, BadInput | RunFailed):
                self._end(job_id, 'failed', line_of(error))
            else:
                logging.exception('job %s', job_id)
                line = 'the server could not finish this; its log says why'
                self._end(job_id, 'failed', line)
        else:
            took_s = time.monotonic() - running.began
            self._recent.append(took_s)
            self._metrics.job_seconds.observe(took_s)
            self._metrics.jobs.labels('done').inc()

    def _end(self, job: str, state: str, error: str | None) -> None:
        self._store.end_job(job, state, error)
        self._metrics.jobs.labels(state).inc()
