"""The store: one job a session, ids that are no paths, and nothing half there."""

import pytest

from jen1composer.errors import BadInput
from jen1composer.serving.store import Busy, NotFound, Store


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as store:
        yield store


def add_session(store, name='x'):
    session, folder = store.new_session_folder()
    folder.mkdir()
    (folder / 'session.json').write_text(name)
    store.put_session(session, name, 1.5)
    return session


def add_job(store, session=None):
    return store.add_job('action', {'do': 'undo'}, tracks=['bass'], session=session, revision=3)


def test_what_is_put_is_found_again_by_another(tmp_path):
    with Store(tmp_path) as store:
        session = add_session(store, 'rock')
        job = add_job(store, session)
    with Store(tmp_path) as store:
        row, found = store.session_row(session), store.job(job)
        assert (row.prompt, row.seconds) == ('rock', 1.5)
        assert (found.body, found.revision, found.tracks) == ({'do': 'undo'}, 3, ['bass'])
        assert store.session_folder(session).joinpath('session.json').read_text() == 'rock'


def test_sessions_are_listed_by_their_last_change(store):
    first, second = add_session(store), add_session(store)
    assert [row.id for row in store.session_rows()] == [second, first]
    store.put_session(first, 'new', 2.0)
    assert [row.id for row in store.session_rows()] == [first, second]


def test_a_session_has_one_unfinished_job(store):
    session = add_session(store)
    job = add_job(store, session)
    for state in ('queued', 'running'):
        with pytest.raises(Busy) as busy:
            add_job(store, session)
        assert busy.value.job == job
        with pytest.raises(Busy):
            store.delete_session(session)
        assert store.job(job).state == state
        store.begin_job(job)
    store.put_session(session, 'x', 1.5, job=job)
    assert (store.job(job).state, store.job_of(session)) == ('done', None)
    add_job(store, session)
    add_job(store), add_job(store)  # those without a session do not count


def test_a_session_goes_with_its_jobs_and_files(store):
    session = add_session(store)
    job = add_job(store, session)
    store.end_job(job, 'cancelled')
    folder = store.session_folder(session)
    store.delete_session(session)
    assert not folder.exists()
    for missing in (lambda: store.session_row(session), lambda: store.job(job)):
        with pytest.raises(NotFound):
            missing()
    with pytest.raises(NotFound):
        add_job(store, session)


@pytest.mark.parametrize(
    'id', ['', '.', '..', '../x', 32 * 'A', 31 * 'a', 33 * 'a', 32 * 'a' + '\n']
)
def test_an_id_is_no_path(store, id):
    for look in (store.session_folder, store.job_folder, store.delete_session, store.job):
        with pytest.raises(NotFound):
            look(id)


def test_what_no_row_knows_goes_at_the_next_start(tmp_path):
    with Store(tmp_path) as store:
        session, job = add_session(store), add_job(store)
        store.put_files(job, {'mix.flac': b'sound'})
        _, folder = store.new_session_folder()  # killed before its row was written
        folder.mkdir()
        (store.folder / 'jobs' / f'{job}x.aside').mkdir()
    with Store(tmp_path) as store:
        assert [path.name for path in (tmp_path / 'sessions').iterdir()] == [session]
        assert [path.name for path in (tmp_path / 'jobs').iterdir()] == [job]
        assert (store.job_folder(job) / 'mix.flac').read_bytes() == b'sound'


def test_files_of_an_attempt_that_was_killed_are_replaced(store):
    job = add_job(store)
    for name in (f'{job}.aside', job):
        (store.folder / 'jobs' / name).mkdir()
        (store.folder / 'jobs' / name / 'old.flac').write_bytes(b'old')
    store.put_files(job, {'new.flac': b'new'})
    assert [path.name for path in store.job_folder(job).iterdir()] == ['new.flac']
    assert store.job(job).state == 'done'


def test_one_server_a_folder(store):
    with pytest.raises(BadInput, match='another server uses this folder'):
        Store(store.folder)
