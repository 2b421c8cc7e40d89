"""Jobs: the queue is bounded, every job ends in a state that says how, and none is lost."""

import threading
import time

import pytest

from jen1composer.errors import BadInput, RunFailed
from jen1composer.serving.jobs import Jobs, QueueFull, Stopping
from jen1composer.serving.limits import Limits
from jen1composer.serving.metrics import Metrics
from jen1composer.serving.store import NotFound, Store

ONE = Limits(workers=1, queue=2, job_s=30, attempts=2)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as store:
        yield store


class Work:
    """Runs jobs: each waits until `gate` is set, then fails as its body says, or is done."""

    def __init__(self, store):
        self.store, self.gate, self.begun = store, threading.Event(), threading.Semaphore(0)
        self.ran = []

    def __call__(self, job, flag, progress):
        self.ran.append(job.id)
        self.begun.release()
        progress(0.5, 2.0)
        while not self.gate.wait(0.005):
            flag.check()
        if job.body:
            raise {'BadInput': BadInput, 'RunFailed': RunFailed, 'bug': TypeError}[job.body]('why')
        self.store.put_files(job.id, {'a.flac': b'a'})


def jobs(store, work, limits=ONE):
    return Jobs(store, work, limits, Metrics())


def submit(made, body=None):
    return made.submit('compose', body, tracks=['bass'])


def ended(store, job):
    until = time.monotonic() + 10
    while store.job(job).state in ('queued', 'running'):
        assert time.monotonic() < until
        time.sleep(0.005)
    return store.job(job)


@pytest.mark.parametrize(
    ('body', 'state', 'error'),
    [
        (None, 'done', None),
        ('BadInput', 'failed', 'why'),
        ('RunFailed', 'failed', 'why'),
        ('bug', 'failed', 'the server could not finish this; its log says why'),
    ],
)
def test_every_end_is_told(store, body, state, error):
    work = Work(store)
    work.gate.set()
    with jobs(store, work) as made:
        found = ended(store, submit(made, body))
        assert (found.state, found.error) == (state, error)
        after = ended(store, submit(made))  # the worker lives on
        assert made.describe(after)['progress'] == 1.0


def test_the_queue_is_bounded(store):
    work = Work(store)
    with jobs(store, work) as made:
        first = submit(made)
        work.begun.acquire()
        waiting = [submit(made) for _ in range(2)]
        with pytest.raises(QueueFull) as full:
            submit(made)
        assert full.value.retry_after_s >= 1
        assert (made.num_running, made.num_queued) == (1, 2)
        shown = made.describe(store.job(first))
        assert (shown['state'], shown['progress'], shown['left_s']) == ('running', 0.5, 2.0)
        assert made.describe(store.job(waiting[0]))['state'] == 'queued'
        made.cancel(waiting[0])
        assert store.job(waiting[0]).state == 'cancelled'
        submit(made)  # its place is free
        work.gate.set()
        assert ended(store, waiting[1]).state == 'done'
    assert waiting[0] not in work.ran


def test_what_runs_is_cancelled_and_its_place_is_free(store):
    work = Work(store)
    with jobs(store, work) as made:
        first = submit(made)
        work.begun.acquire()
        made.cancel(first)
        assert ended(store, first).state == 'cancelled'
        made.cancel(first)  # again is no harm
        work.gate.set()
        assert ended(store, submit(made)).state == 'done'


def test_a_job_has_so_long(store):
    work = Work(store)
    with jobs(store, work, Limits(workers=1, job_s=0.05)) as made:
        found = ended(store, submit(made))
        assert (found.state, found.error) == ('failed', 'took longer than 0.05 s')


def test_at_the_end_what_runs_is_finished_and_the_rest_is_there_again(store):
    work = Work(store)
    with jobs(store, work) as made:
        first, second = submit(made), submit(made)
        work.begun.acquire()
        threading.Timer(0.1, work.gate.set).start()
        made.drain(10)
        assert store.job(first).state == 'done'
        assert store.job(second).state == 'queued'
        with pytest.raises(Stopping):
            submit(made)
    with jobs(store, work):
        assert ended(store, second).state == 'done'


def test_what_takes_too_long_is_returned_and_does_not_count_as_tried(store):
    for _ in range(3):
        work = Work(store)
        with jobs(store, work) as made:
            job = submit(made) if not store.unfinished_jobs() else store.unfinished_jobs()[0].id
            work.begun.acquire()
            made.drain(0.01)
        assert (store.job(job).state, store.job(job).attempts) == ('queued', 0)
    work.gate.set()
    with jobs(store, work):
        assert ended(store, job).state == 'done'


def test_what_was_running_when_it_was_killed_runs_again_and_not_for_ever(store):
    job = store.add_job('compose', None, tracks=[], session=None, revision=0)
    work = Work(store)
    work.gate.set()
    store.begin_job(job)  # and is killed
    with jobs(store, work):
        assert ended(store, job).state == 'done'
    poison = store.add_job('compose', None, tracks=[], session=None, revision=0)
    for _ in range(ONE.attempts):
        store.begin_job(poison)
    with jobs(store, work):
        assert ended(store, poison).state == 'failed'
    assert poison not in work.ran


def test_jobs_keep_their_order_over_a_restart(store):
    added = [store.add_job('compose', None, tracks=[], session=None, revision=0) for _ in range(5)]
    work = Work(store)
    work.gate.set()
    with jobs(store, work):
        for job in added:
            ended(store, job)
    assert work.ran == added


def test_old_jobs_are_forgotten_with_their_sound(store):
    work = Work(store)
    work.gate.set()
    with jobs(store, work) as made:
        done = []
        for _ in range(4):
            done.append(submit(made))
            ended(store, done[-1])
        store.forget_jobs(keep=2)
    assert {path.name for path in (store.folder / 'jobs').iterdir()} == set(done[2:])
    with pytest.raises(NotFound):
        store.job(done[0])
