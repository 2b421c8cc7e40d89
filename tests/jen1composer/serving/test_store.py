"""The store: one job a session, ids that are no paths, and nothing half there."""

import shutil

import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.session import Session
from jen1composer.generation.session_folder import save_session
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
        (store.folder / 'jobs' / f'{32 * "a"}.aside').mkdir()
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


def test_a_folder_of_others_is_refused_and_left_as_it_is(tmp_path):
    for name in ('jobs', 'sessions'):
        (tmp_path / name / 'mine').mkdir(parents=True)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(BadInput, match=r"which is no server's"):
        Store(tmp_path)
    assert sorted(tmp_path.rglob('*')) == before


def test_what_has_no_name_of_ours_stays(tmp_path):
    (tmp_path / 'lost+found').mkdir()  # a disk of its own
    with Store(tmp_path):
        for name in ('jobs', 'sessions'):
            (tmp_path / name / 'mine').mkdir()
    with Store(tmp_path):
        assert all((tmp_path / name / 'mine').exists() for name in ('jobs', 'sessions'))


@pytest.mark.parametrize('lost', ['the row', 'the database'])
def test_a_session_without_a_row_is_taken_in_again(tmp_path, lost):
    with Store(tmp_path) as store:
        good, folder = store.new_session_folder()
        save_session(folder, Session.new(('bass',), prompt='rock', seconds=2.0))
        bad, folder = store.new_session_folder()
        folder.mkdir()
        (folder / 'session.json').write_text('cut o')
        if lost == 'the row':
            store.put_session(good, 'rock', 2.0)
            store._db.execute('DELETE FROM sessions')
    if lost == 'the database':
        for path in tmp_path.glob('server.sqlite3*'):
            path.unlink()
    with Store(tmp_path) as store:
        row = store.session_row(good)
        assert (row.prompt, row.seconds) == ('rock', 2.0)
        assert [row.id for row in store.session_rows()] == [good]
        assert (tmp_path / 'lost' / bad / 'session.json').read_text() == 'cut o'


@pytest.mark.parametrize('row_went', [True, False])
def test_a_session_killed_while_it_is_deleted_is_there_or_not(tmp_path, row_went):
    with Store(tmp_path) as store:
        session = add_session(store)
        folder = store.session_folder(session)
        shutil.move(folder, folder.with_suffix('.aside'))
        if row_went:
            store._db.execute('DELETE FROM sessions')
    with Store(tmp_path) as store:
        assert folder.exists() is not row_went
        assert not folder.with_suffix('.aside').exists()


def test_a_damaged_database_is_one_line_and_the_folder_is_free_again(tmp_path):
    (tmp_path / 'server.sqlite3').write_bytes(b'no database at all' * 100)
    for _ in range(2):
        with pytest.raises(BadInput, match=r'server\.sqlite3: is no database of a server'):
            Store(tmp_path)
