"""The server as a Ray Serve deployment: two makers on this machine, one of which is killed.

`pip install 'jen1composer[ray]'` first; without it these are skipped.
"""

import os
import signal
import socket
import time

import pytest

from tests.jen1composer import tiny_composer
from tests.jen1composer.serving.client import Client

ray = pytest.importorskip('ray', reason='the extra ray is not installed')
pytestmark = [pytest.mark.ray, pytest.mark.slow]
ASKED = {'prompt': 'rock', 'targets': ['bass'], 'seconds': 0.01}


@pytest.fixture(scope='module')
def client(tmp_path_factory):
    from ray import serve

    from jen1composer.serving import ray_app

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, logging_level='warning')
    serve.start(http_options={'host': '127.0.0.1', 'port': port})
    folder = str(tmp_path_factory.mktemp('ray') / 'data')
    application = ray_app.make_application(
        tiny_composer.composer, folder=folder, token=None, replicas=2, warm_steps=2
    )
    serve.run(application, name=ray_app.APP)
    client = Client(port)
    until = time.monotonic() + 120
    while client.get('/readyz').status != 200:
        assert time.monotonic() < until
        time.sleep(0.2)
    yield client
    serve.shutdown()
    ray.shutdown()


def makers() -> set[int]:
    """The processes of the makers, as many as answer."""
    from ray import serve

    from jen1composer.serving import ray_app

    handle = serve.get_deployment_handle(ray_app.MAKER, app_name=ray_app.APP)
    return {handle.process.remote().result(timeout_s=30) for _ in range(20)}


def test_whoever_makes_it_it_is_the_same_music(client: Client):
    assert len(makers()) == 2
    jobs = [
        client.post('/api/compose', ASKED | {'steps': 4, 'seed': 3}).json['job'] for _ in range(8)
    ]
    assert [client.wait(job)['state'] for job in jobs] == ['done'] * 8
    sounds = {client.get(f'/api/jobs/{job}/tracks/bass.flac').body for job in jobs}
    assert len(sounds) == 1


def test_sessions_and_events_are_those_of_the_server(client: Client):
    session = client.begin(prompt='rock', seconds=0.01)['id']
    job = client.act(session, do='compose', steps=20).json['job']
    events = client.events(job)
    assert events[-1][0] == 'done'
    state = client.get(f'/api/sessions/{session}').json
    assert all(lane['take'] for lane in state['lanes'])
    assert client.act(session, do='dance').status == 400
    assert client.post('/api/compose', ASKED | {'targets': ['violin']}).status == 400


def test_what_is_cancelled_is_let_go(client: Client):
    job = client.post('/api/compose', ASKED | {'steps': 100, 'seconds': 2.0}).json['job']
    assert client.send('DELETE', f'/api/jobs/{job}').status == 202
    assert client.wait(job)['state'] == 'cancelled'


def test_where_a_maker_dies_another_begins_again(client: Client):
    one_of_them = min(makers())
    asked = ASKED | {'steps': 100, 'seconds': 0.2}  # windows are short here: this is 17 of them
    jobs = [client.post('/api/compose', asked | {'seed': seed}).json['job'] for seed in range(6)]
    while {client.get(f'/api/jobs/{job}').json['state'] for job in jobs} != {'running'}:
        time.sleep(0.01)
    os.kill(one_of_them, signal.SIGKILL)
    assert [client.wait(job)['state'] for job in jobs] == ['done'] * 6
    assert one_of_them not in makers()
