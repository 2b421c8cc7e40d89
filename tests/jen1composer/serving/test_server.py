"""The server over HTTP, a process of its own: sessions, jobs, sound, and what it refuses."""

import io
import json
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import soundfile

from jen1composer.generation.actions import ACTIONS
from tests.jen1composer import tiny_codec
from tests.jen1composer.serving.client import Client, serving

TRACKS = ['bass', 'drums', 'instrument', 'melody']


@pytest.fixture(scope='module')
def client(tmp_path_factory):
    limits = json.dumps({'seconds': 10, 'upload_s': 10, 'upload_bytes': 4_000_000})
    with serving(tmp_path_factory.mktemp('server') / 'data', step_s=0.01, limits=limits) as server:
        yield server.client


def wav(audio: np.ndarray, rate: int = 48_000, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, **{'format': 'WAV', 'subtype': 'FLOAT'} | options)
    return file.getvalue()


def lane(session: dict, track: str) -> dict:
    return next(lane for lane in session['lanes'] if lane['track'] == track)


def test_about_says_what_there_is(client: Client):
    about = client.get('/api/about').json
    assert about['tracks'] == TRACKS
    assert about['limits']['seconds'] == 10
    assert about['defaults']['steps'] == 50


def test_a_new_session_is_empty_or_has_music_in_it(client: Client):
    empty = client.begin(prompt='dark rock', tempo_bpm=120, key='A minor')
    assert [lane['take'] for lane in empty['lanes']] == [None] * 4
    assert (empty['prompt'], empty['tempo_bpm'], empty['job']) == ('dark rock', 120, None)
    starter = client.begin(starter=True)
    assert all(lane['take'] for lane in starter['lanes'])
    listed = client.get('/api/sessions').json['sessions']
    assert [line['id'] for line in listed[:2]] == [starter['id'], empty['id']]


def test_a_whole_composition(client: Client):
    """Prompt, keep two, make the others anew, upload one, mix, and take it away."""
    session = client.begin(prompt='rock')['id']
    state = client.done(session, do='compose', steps=3, seed=1)
    takes = {lane['track']: lane['take'] for lane in state['lanes']}
    assert all(takes.values())
    for track in ('bass', 'drums'):
        state = client.done(session, do='keep', track=track)
    state = client.done(session, do='compose', steps=3, seed=2)
    again = {lane['track']: lane['take'] for lane in state['lanes']}
    assert [again[track] == takes[track] for track in TRACKS] == [True, True, False, False]
    sound = np.float32(0.1) * np.random.default_rng(0).standard_normal((72_000, 2)).astype('f')
    answer = client.post(f'/api/sessions/{session}/uploads?track=melody&name=m.wav', wav(sound))
    assert answer.status == 200, answer.body
    melody = lane(answer.json, 'melody')
    assert melody['kept']
    heard = client.get(f'/api/sessions/{session}/takes/{melody["take"]}.wav')
    np.testing.assert_array_equal(heard.sound, sound)
    assert 'immutable' in heard.headers['cache-control']
    flac = client.get(f'/api/sessions/{session}/takes/{melody["take"]}.flac').sound
    np.testing.assert_allclose(flac, sound, atol=2**-23)
    client.done(session, do='mix', track='bass', gain_db=-6)
    client.done(session, do='mix', track='drums', muted=True)
    parts = {
        name: client.get(f'/api/sessions/{session}/takes/{take}.wav').sound
        for name, take in (again | {'melody': melody['take']}).items()
    }
    expected = parts['bass'] * 10 ** (-6 / 20) + parts['instrument'] + parts['melody']
    mix = client.get(f'/api/sessions/{session}/mix.wav').sound
    np.testing.assert_allclose(mix, expected, atol=1e-6)
    louder = client.get(f'/api/sessions/{session}/mix.flac?lufs=-30').sound
    assert np.corrcoef(louder[:, 0], mix[:, 0])[0, 1] > 0.999
    stems = zipfile.ZipFile(io.BytesIO(client.get(f'/api/sessions/{session}/stems.zip').body))
    assert {name.split('.')[0] for name in stems.namelist()} >= {*TRACKS, 'mix', 'stems'}


def test_undo_and_redo_go_through_the_same_states(client: Client):
    session = client.begin(prompt='one')['id']
    client.done(session, do='set', prompt='two')
    assert client.done(session, do='undo')['prompt'] == 'one'
    assert client.done(session, do='redo')['prompt'] == 'two'
    assert client.act(session, do='redo').status == 400


def test_a_session_taken_away_and_brought_again_is_the_same(client: Client):
    session = client.begin(prompt='rock')['id']
    before = client.done(session, do='compose', steps=2)
    away = client.get(f'/api/sessions/{session}/session.zip').body
    brought = client.post('/api/sessions/import', away)
    assert brought.status == 201, brought.body
    other = ('id', 'job')
    assert {k: v for k, v in brought.json.items() if k not in other} == {
        k: v for k, v in before.items() if k not in other
    }
    take = before['lanes'][0]['take']
    sounds = [
        client.get(f'/api/sessions/{id}/takes/{take}.wav').body
        for id in (session, brought.json['id'])
    ]
    assert sounds[0] == sounds[1]


def test_progress_comes_as_events_and_ends_with_done(client: Client):
    session = client.begin()['id']
    job = client.act(session, do='compose', steps=30).json['job']
    events = client.events(job)
    assert [name for name, _ in events[:-1]] == ['progress'] * (len(events) - 1)
    assert len(events) > 2
    shares = [event['progress'] for _, event in events]
    assert shares == sorted(shares)
    name, last = events[-1]
    assert (name, last['state'], last['progress']) == ('done', 'done', 1.0)
    assert last['session'] == session
    assert any(event['left_s'] for _, event in events)
    assert client.events(job) == [(name, last)]


def test_one_action_at_a_time_and_cancel(client: Client):
    session = client.begin()['id']
    job = client.act(session, do='compose', steps=100).json['job']
    busy = client.act(session, do='keep', track='bass')
    assert busy.status == 409
    assert client.get(f'/api/sessions/{session}').json['job'] == job
    assert client.send('DELETE', f'/api/jobs/{job}').status == 202
    assert client.wait(job)['state'] == 'cancelled'
    state = client.done(session, do='keep', track='bass')
    assert lane(state, 'bass')['takes'] == []


def test_a_session_is_deleted_with_what_is_made_in_it(client: Client):
    session = client.begin()['id']
    job = client.act(session, do='compose', steps=100).json['job']
    assert client.send('DELETE', f'/api/sessions/{session}').status == 204
    assert client.get(f'/api/sessions/{session}').status == 404
    assert client.get(f'/api/jobs/{job}').status == 404
    assert session not in {line['id'] for line in client.get('/api/sessions').json['sessions']}


def test_a_piece_without_a_session(client: Client):
    asked = {'prompt': 'rock', 'targets': ['bass', 'drums'], 'steps': 2, 'seed': 5, 'seconds': 1}
    first, second = (client.post('/api/compose', asked).json['job'] for _ in range(2))
    assert client.wait(first)['tracks'] == ['bass', 'drums']
    client.wait(second)
    sounds = [client.get(f'/api/jobs/{job}/tracks/bass.flac') for job in (first, second)]
    assert sounds[0].body == sounds[1].body
    assert sounds[0].sound.shape == (48_000, 2)
    assert client.get(f'/api/jobs/{first}/mix.flac').status == 200
    assert client.get(f'/api/jobs/{first}/tracks/melody.flac').status == 404


def test_encode_and_decode_are_the_codec(client: Client):
    sound = tiny_codec.sound(7_000, 2)
    answer = client.post('/api/encode', wav(sound))
    latents = safetensors.numpy.load(answer.body)['latents']
    codec = tiny_codec.codec()
    np.testing.assert_allclose(latents, codec.encode(sound[None, None])[0, 0], atol=1e-4)
    decoded = client.post('/api/decode', answer.body)
    assert decoded.status == 200, decoded.body
    expected = codec.decode(latents[None, None])[0, 0]
    expected = expected / max(1, np.abs(expected).max() / 0.99)
    np.testing.assert_allclose(decoded.sound, expected, atol=1e-4)


@pytest.mark.parametrize(
    ('action', 'status', 'field'),
    [
        ({'do': 'compose', 'steps': 1000}, 400, 'steps'),
        ({'do': 'compose', 'tracks': ['violin']}, 400, None),
        ({'do': 'continue', 'seconds': 60}, 400, 'continue'),  # what has no take
        ({'do': 'set', 'seconds': 11}, 400, 'seconds'),
        ({'do': 'set', 'prompt': 'x' * 1001}, 400, 'prompt'),
        ({'do': 'set', 'prompt': '\ud800'}, 400, 'prompt'),
        ({'do': 'dance'}, 400, 'do'),
        ({'do': 'upload', 'track': 'bass'}, 400, 'audio'),
        ({'do': 'select', 'track': 'bass', 'take': '../../secret'}, 400, 'take'),
        ({'do': 'compose', 'seed': float('nan')}, 400, 'seed'),
        ({'do': 'compose', 'prompt': 'x' * 70_000}, 413, None),
        ([1, 2], 422, None),
    ],
)
def test_what_is_refused_says_why(client: Client, action, status, field):
    session = client.begin()['id']
    answer = client.post(f'/api/sessions/{session}/actions', action)
    assert answer.status == status, answer.body
    assert answer.json['error']
    if field:
        assert answer.json['field'] == field
    assert client.get(f'/api/sessions/{session}').json['revision'] == 0


@pytest.mark.parametrize(
    'path',
    [
        '/api/sessions/' + 32 * 'a',
        '/api/jobs/' + 32 * 'a',
        '/api/sessions/..%2f..%2fetc',
        '/api/jobs/..%2f..%2fetc%2fpasswd/mix.flac',
        '/studio/..%2fserver.py',
        '/studio/../server.py',
        '/studio/%2e%2e/server.py',
        '/nothing',
    ],
)
def test_there_is_nothing_elsewhere(client: Client, path):
    answer = client.get(path)
    assert answer.status in (404, 422), answer.body
    assert 'error' in answer.json


def test_openapi_knows_every_route(client: Client):
    paths = client.get('/openapi.json').json['paths']
    assert '/api/sessions/{id}/actions' in paths
    assert paths['/api/jobs/{job}']['delete']['responses']['202']
    act = paths['/api/sessions/{id}/actions']['post']
    kinds = act['requestBody']['content']['application/json']['schema']['oneOf']
    by_name = {kind['properties']['do']['const']: kind for kind in kinds}
    assert set(by_name) == set(ACTIONS) - {'upload'}
    assert by_name['select']['required'] == ['do', 'track', 'take']
    assert by_name['compose']['properties']['steps'] == {'type': 'integer', 'default': 50}


def test_a_method_that_is_none_is_told_which_are(client: Client):
    answer = client.send('PUT', '/api/about')
    assert (answer.status, answer.headers['allow']) == (405, 'GET')


def test_metrics_count(client: Client):
    text = client.get('/metrics').body.decode()
    assert 'jen1composer_jobs_total{state="done"}' in text
    assert 'route="/api/sessions/{id}/actions"' in text
    assert 'jen1composer_memory_peak_bytes' in text
