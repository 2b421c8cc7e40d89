"""What is left of a server that is killed, or stopped, in the middle of jobs."""

import json
import pathlib
import time
import urllib.request

import numpy as np
import pytest

from tests.jen1composer.serving.client import Server, serving

STEPS = 40

pytestmark = pytest.mark.slow  # it starts seven times


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    limits = json.dumps({'workers': 3, 'grace_s': 20})
    with serving(tmp_path_factory.mktemp('killed') / 'data', step_s=0.05, limits=limits) as server:
        yield server


def test_killed_in_the_middle_of_ten_jobs_all_are_made_in_the_end(server: Server):
    """Every finished action is there, and every job comes out as if nothing had been."""
    client = server.client
    sessions = [client.begin(prompt=f'piece {number}')['id'] for number in range(8)]
    for session in sessions:  # a finished action of each
        client.done(session, do='mix', track='bass', gain_db=-3)
    jobs = [client.act(s, do='compose', steps=STEPS, seed=9).json['job'] for s in sessions]
    asked = {'prompt': 'piece 0', 'steps': STEPS, 'seed': 9, 'seconds': 1.5}
    jobs += [client.post('/api/compose', asked).json['job'] for _ in range(2)]
    client.wait(jobs[0])
    before = {job: client.get(f'/api/jobs/{job}').json['state'] for job in jobs}
    assert {'done', 'running', 'queued'} <= set(before.values())
    server.kill()
    server.start()
    client = server.client
    for job, state in before.items():
        ended = client.wait(job)
        assert ended['state'] == 'done', (state, ended)
    for session in sessions:
        state = client.get(f'/api/sessions/{session}').json
        assert (state['job'], state['revision']) == (None, 2)
        assert state['lanes'][0]['gain_db'] == -3
        assert all(len(lane['takes']) == 1 for lane in state['lanes'])
    take = client.get(f'/api/sessions/{sessions[0]}').json['lanes'][0]['take']
    heard = client.get(f'/api/sessions/{sessions[0]}/takes/{take}.flac').body
    same = [client.get(f'/api/jobs/{job}/tracks/bass.flac').body for job in jobs[-2:]]
    assert same == [heard] * 2  # made before the kill, after it, in a session and without


def test_a_job_that_is_killed_again_and_again_is_given_up(server: Server):
    session = server.client.begin()['id']
    job = server.client.act(session, do='compose', steps=100).json['job']
    for _ in range(2):
        wait_until_it_runs(server, job)
        server.kill()
        server.start(ready=False)
    found = server.client.get(f'/api/jobs/{job}').json
    assert (found['state'], found['session']) == ('failed', session)
    assert 'killed' in found['error']
    assert server.client.done(session, do='keep', track='bass')['revision'] == 1


def test_stopped_it_finishes_what_runs_and_keeps_what_waits(server: Server):
    client = server.client
    sessions = [client.begin()['id'] for _ in range(5)]
    jobs = [client.act(session, do='compose', steps=STEPS).json['job'] for session in sessions]
    wait_until_it_runs(server, jobs[2])
    url = f'http://127.0.0.1:{client.port}/api/jobs/{jobs[0]}/events'
    with urllib.request.urlopen(url) as listening:  # once it is answered, to the end
        assert server.stop() == 0
        assert b'event: done' in listening.read()
    assert 'Traceback' not in server.log.read_text()
    server.start(ready=False)
    states = [server.client.get(f'/api/jobs/{job}').json['state'] for job in jobs]
    assert states[:3] == ['done'] * 3
    assert set(states[3:]) <= {'queued', 'running'}
    assert [server.client.wait(job)['state'] for job in jobs] == ['done'] * 5


def test_a_folder_has_one_server(server: Server):
    folder = pathlib.Path(server._folder)
    with pytest.raises(AssertionError, match='another server uses this folder'):
        Server(folder)


def test_nothing_is_left_over(server: Server):
    """Of sessions and jobs that were killed halfway, no file stays that no row knows."""
    folder = pathlib.Path(server._folder)
    client = server.client
    listed = {line['id'] for line in client.get('/api/sessions').json['sessions']}
    assert {path.name for path in (folder / 'sessions').iterdir()} == listed
    assert not [path for path in folder.rglob('*') if 'aside' in path.name]
    for session in listed:
        for lane in client.get(f'/api/sessions/{session}').json['lanes']:
            if lane['take']:
                sound = client.get(f'/api/sessions/{session}/takes/{lane["take"]}.wav').sound
                assert np.isfinite(sound).all()


def wait_until_it_runs(server: Server, job: str) -> None:
    while server.client.get(f'/api/jobs/{job}').json['state'] == 'queued':
        time.sleep(0.05)
