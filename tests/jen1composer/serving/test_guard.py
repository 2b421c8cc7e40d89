"""Who may speak to the server, how much it takes on, and when it is ready."""

import threading
import time

import numpy as np
import pytest
from fastapi import Response

from jen1composer.errors import BadInput, RunFailed
from jen1composer.generation.session import Session
from jen1composer.serving import downloads, server
from jen1composer.serving.jobs import Flag
from jen1composer.serving.limits import Limits
from jen1composer.serving.service import Service
from jen1composer.serving.store import Store
from tests.jen1composer.serving import malformed
from tests.jen1composer.serving.tiny_service import http, noise

TOKEN = 'a token of some length'


@pytest.fixture(scope='module')
def guarded(tmp_path_factory, composer):
    folder = tmp_path_factory.mktemp('guarded')
    with http(folder, composer, noise(), token=TOKEN) as client:
        yield client


@pytest.fixture(scope='module')
def local(tmp_path_factory, composer):
    with http(tmp_path_factory.mktemp('local'), composer, noise()) as client:
        yield client


@pytest.mark.parametrize('path', ['/api/about', '/api/sessions', '/metrics', '/openapi.json'])
def test_a_token_is_needed(guarded, path):
    for wrong in ('', 'Bearer', 'Bearer x', f'Basic {TOKEN}', f'Bearer {TOKEN}x', 'Bearer \xff'):
        answer = guarded.get(path, headers={'Authorization': wrong.encode('latin-1')})
        assert answer.status_code == 401, wrong
        assert answer.headers['WWW-Authenticate'] == 'Bearer'
    assert guarded.get(path, headers={'Authorization': f'Bearer {TOKEN}'}).status_code == 200


def test_invented_methods_and_paths_are_counted_as_one(guarded):
    for number in range(20):
        assert guarded.request(f'MADE{number}', f'/nothing/{number}').status_code == 401
    text = guarded.get('/metrics', headers={'Authorization': f'Bearer {TOKEN}'}).text
    assert 'MADE' not in text
    assert 'method="other",route="none",status="401"} 20.0' in text


@pytest.mark.parametrize('path', ['/healthz', '/readyz'])
def test_health_needs_no_token(guarded, path):
    assert guarded.get(path).status_code == 200


def test_a_browser_gets_a_cookie_for_the_token(guarded):
    assert guarded.get('/?token=wrong', follow_redirects=False).status_code != 303
    answer = guarded.get('/', params={'token': TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers['location']) == (303, '/')
    cookie = answer.headers['set-cookie']
    assert 'httponly' in cookie.lower()
    assert 'samesite=strict' in cookie.lower()
    name, value = cookie.split(';')[0].split('=', 1)
    headers = {'Cookie': f'{name}={value}'}
    guarded.cookies.clear()
    assert guarded.get('/api/about', headers=headers).status_code == 200
    assert guarded.get('/api/about', headers={'Cookie': f'{name}=no'}).status_code == 401


@pytest.mark.parametrize(
    ('headers', 'status'),
    [
        ({}, 200),
        ({'Host': '127.0.0.1:8000'}, 200),
        ({'Host': '[::1]:8000'}, 200),
        ({'Host': 'music.example'}, 403),  # a name that was made to point here
        ({'Host': ''}, 403),
        ({'Host': '[::1'}, 403),
        ({'Host': 'localhost:1', 'Origin': 'http://localhost:1'}, 200),
        ({'Host': 'localhost:1', 'Origin': 'http://localhost:2'}, 403),
        ({'Origin': 'https://music.example'}, 403),
        ({'Host': 'localhost:1', 'Origin': 'http://localhost:1.music.example'}, 403),
        ({'Host': 'localhost:1', 'Origin': 'http://evil-localhost:1'}, 403),
        ({'Host': 'localhost', 'Origin': 'http://localhost.music.example'}, 403),
        ({'Origin': 'null'}, 403),
    ],
)
def test_no_other_site_speaks_to_a_server_of_this_machine(local, headers, status):
    assert local.get('/api/about', headers=headers).status_code == status


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '10.0.0.1', 'music.example', '127.0.0.1.nip.io'])
def test_an_open_address_needs_a_token(host):
    with pytest.raises(BadInput, match='needs --token_file'):
        server.check_address(host, None)
    server.check_address(host, TOKEN)


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost', '::1', '127.8.8.8'])
def test_this_machine_alone_needs_none(host):
    server.check_address(host, None)


def test_the_page_may_load_nothing_from_elsewhere(local):
    answer = local.get('/')
    if answer.status_code == 200:
        assert "default-src 'self'" in answer.headers['content-security-policy']
    assert local.get('/docs').status_code == 404


def test_it_is_ready_when_the_first_piece_is_made(tmp_path, composer):
    compose = noise(is_open=False)
    with http(tmp_path, composer, compose, ready=False) as client:
        assert client.get('/healthz').status_code == 200
        for answer in (client.get('/readyz'), client.post('/api/sessions', json={'starter': True})):
            assert (answer.status_code, answer.headers['Retry-After']) == (503, '2')
        compose.open.set()
        while client.get('/readyz').status_code != 200:
            pass
        assert client.post('/api/sessions', json={'starter': True}).status_code == 201


def test_more_than_fits_is_told_when_to_ask_again(tmp_path, composer):
    compose = noise()
    limits = Limits(workers=1, queue=2)
    with http(tmp_path, composer, compose, limits=limits) as client:
        compose.open.clear()
        answers = []

        def ask():
            answers.append(client.post('/api/compose', json={'seconds': 1}))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status_code == 429]
        taken = [answer for answer in answers if answer.status_code == 202]
        assert len(refused) + len(taken) == 8
        assert len(taken) in (2, 3)  # one may have begun before the queue was full
        assert all(int(answer.headers['Retry-After']) >= 1 for answer in refused)
        for answer in taken:
            client.delete(f'/api/jobs/{answer.json()["job"]}')
        assert client.get('/metrics').text.count('state="cancelled"') >= 1


@pytest.mark.parametrize(
    ('level', 'expected'), [(0.1, {}), (0.0, {'bass': ['silent']}), (2.0, {'bass': ['clipped']})]
)
def test_a_take_that_came_out_wrong_is_said_to_be_so(tmp_path, composer, level, expected):
    compose = noise()
    with http(tmp_path, composer, compose) as client:
        compose.level = level
        job = client.post('/api/compose', json={'targets': ['bass']}).json()['job']
        while (found := client.get(f'/api/jobs/{job}').json())['state'] != 'done':
            pass
        assert found['warnings'] == expected


def test_the_oldest_steps_of_a_session_go(tmp_path, composer):
    with http(tmp_path, composer, noise(), limits=Limits(history=3)) as client:
        session = client.post('/api/sessions').json()['id']

        def act(**action):
            return client.post(f'/api/sessions/{session}/actions', json=action).json()

        for number in range(6):
            state = act(do='set', prompt=f'prompt {number}')
        assert (state['revision'], state['prompt']) == (6, 'prompt 5')
        undone = [act(do='undo')['prompt'] for _ in range(3)]
        assert undone == ['prompt 4', 'prompt 3', 'prompt 2']
        assert act(do='undo')['field'] == 'undo'


def test_there_is_room_for_so_many_sessions_of_such_length(tmp_path, composer):
    limits = Limits(sessions=2, session_s=8.0, seconds=10)
    with http(tmp_path, composer, noise(), limits=limits) as client:
        session = client.post('/api/sessions', json={'seconds': 1}).json()['id']

        def act(**action):
            return client.post(f'/api/sessions/{session}/actions', json=action)

        def compose(seed):
            answer = act(do='compose', seed=seed)
            while client.get(f'/api/sessions/{session}').json()['job']:
                pass
            return answer

        assert [compose(seed).status_code for seed in range(2)] == [202] * 2  # of four seconds each
        full = compose(3)
        assert (full.status_code, full.json()['field']) == (400, 'session')
        upload = client.post(
            f'/api/sessions/{session}/uploads?track=bass', content=malformed.sound('wav')
        )
        assert (upload.status_code, upload.json()['field']) == (400, 'session')
        for action in (
            {'do': 'mix', 'track': 'bass', 'muted': True},
            {'do': 'keep', 'track': 'bass', 'kept': True},
            {'do': 'set', 'prompt': 'new'},
            {'do': 'undo'},
            {'do': 'redo'},
            {'do': 'forget'},
        ):
            assert act(**action).status_code == 200, action
        assert compose(4).status_code == 202  # three more fit again: bass is kept
        assert client.post('/api/sessions').status_code == 201
        answer = client.post('/api/sessions')
        assert (answer.status_code, answer.json()['field']) == (400, 'sessions')
        client.delete(f'/api/sessions/{session}')
        assert client.post('/api/sessions').status_code == 201


def test_an_upload_of_a_high_rate_takes_the_room_of_its_bytes(tmp_path, composer):
    with http(tmp_path, composer, noise(), limits=Limits(session_s=4.0)) as client:
        session = client.post('/api/sessions').json()['id']
        path = f'/api/sessions/{session}/uploads?track=bass'
        answer = client.post(path, content=malformed.sound('wav', rate=192_000, seconds=1.0))
        assert (answer.status_code, answer.json()['field']) == (400, 'session')
        answer = client.post(path, content=malformed.sound('wav', rate=48_000, seconds=1.0))
        assert answer.status_code == 200


def test_where_the_first_piece_fails_the_server_ends_and_says_why(tmp_path, composer):
    with Store(tmp_path) as store:
        compose = noise(error=RunFailed('samples are not finite'))
        service = Service(composer=composer, compose=compose, store=store, limits=Limits())
        app = server.make_app(service, warm_steps=1)
        with pytest.raises(RunFailed, match='the first piece failed: samples are not finite'):
            server.serve(app, service, host='127.0.0.1', port=0, token=None)


def test_sessions_stay_in_memory_by_their_bytes(tmp_path, composer):
    with Store(tmp_path) as store:
        second = 48_000 * 2 * 4  # bytes
        limits = Limits(open_bytes=5 * second)
        service = Service(composer=composer, compose=noise(), store=store, limits=limits)
        sound = np.zeros((2 * 48_000, 2), np.float32), 48_000
        ids = []
        for _ in range(4):  # of two seconds each: two fit
            ids.append(service.begin(Session.new(service.tracks)))
            service.act(ids[-1], {'do': 'upload', 'track': 'bass'}, upload=sound)
        assert list(service._open) == ids[2:]
        assert service.session(ids[0]).piece.lane('bass').current is not None
        assert list(service._open) == [ids[3], ids[0]]


def test_downloads_that_wait_hold_up_nobody_else(tmp_path, composer, monkeypatch):
    """As many as there are threads ask for stems, and four at a time are made: others go by."""
    go_on = threading.Event()
    monkeypatch.setattr(downloads, 'stems_zip', lambda *_: go_on.wait(30) and Response())
    with http(tmp_path, composer, noise()) as client:
        session = client.post('/api/sessions').json()['id']
        statuses = []

        def ask():
            statuses.append(client.get(f'/api/sessions/{session}/stems.zip').status_code)

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert client.get(f'/api/sessions/{session}').status_code == 200
        assert time.monotonic() - began < 3
        go_on.set()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 50


@pytest.mark.parametrize(
    ('fields', 'field'),
    [
        ({'sampler': 'nobody'}, 'sampler'),
        ({'sampler': 'ddim'}, 'sampler'),  # one that is there, and would be compiled
        ({'given_guidance': 2.0}, 'guidance'),
    ],
)
def test_what_the_server_does_not_offer_is_refused_at_once(tmp_path, composer, fields, field):
    limits = Limits(slots=2)
    with http(tmp_path, composer, noise(), limits=limits) as client:
        assert client.get('/api/about').json()['limits']['samplers'] == ['dpmpp_2m']
        session = client.post('/api/sessions', json={'starter': True}).json()['id']
        action = {'do': 'regenerate', 'track': 'bass', **fields}
        answer = client.post(f'/api/sessions/{session}/actions', json=action)
        assert (answer.status_code, answer.json()['field']) == (400, field)
        del action[next(iter(fields))]
        assert client.post(f'/api/sessions/{session}/actions', json=action).status_code == 202


def test_a_job_killed_between_its_files_and_its_row_is_not_done_twice(tmp_path, composer):
    compose = noise()
    with Store(tmp_path) as store:
        service = Service(composer=composer, compose=compose, store=store, limits=Limits())
        id = service.begin(Session.new(service.tracks))
        job = service.act(id, {'do': 'compose', 'seed': 1})
        assert job is not None
        begun = store.begin_job(job)
        service._run(begun, Flag(60), lambda share, left_s: None)
        done = service.session(id)
        store.requeue_job(job)  # as if its row had not been written
        service._run(store.begin_job(job), Flag(60), lambda share, left_s: None)
        assert service.session(id) == done
        assert (compose.calls, store.job(job).state) == (1, 'done')
