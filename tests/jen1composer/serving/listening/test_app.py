"""The test over HTTP: blind, in order, resumable; what is malformed is refused."""

import io
import json
import pathlib

import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.generation.mixdown import loudness
from jen1composer.serving.listening.prepared import open_experiment, prepare
from tests.jen1composer.serving.client import Client
from tests.jen1composer.serving.listening.conftest import NAMES, heard_side, serving

ANSWER = {'prefers': 'first', 'first_s': 3.0, 'second_s': 4.5, 'took_s': 9.0}


def begin(client) -> str:
    answer = client.post('/api/listeners', {'consent': True})
    assert answer.status == 201
    assert answer.json['answered'] == 0
    return answer.json['code']


def test_from_consent_to_the_end(served):
    client, code = served.client, begin(served.client)
    path = f'/api/listeners/{code}'
    trials = served.listening.trials(code)
    for number, trial in enumerate(trials):
        for place in ('first', 'second'):
            sound = client.get(f'{path}/trials/{number}/{place}')
            assert heard_side(sound.body) == trial.side(place)
        answer = client.post(f'{path}/answers', {'trial': number, **ANSWER})
        assert answer.json == {'code': code, 'answered': number + 1, 'trials': 4}
    assert client.get(f'{path}/trials/4/first').status == 404
    assert client.post(f'{path}/answers', {'trial': 4, **ANSWER}).status == 409
    written = served.listening.answers.of(code)
    for line, trial in zip(written, trials, strict=True):
        assert line['pair'] == sorted(NAMES)[trial.pair]
        assert line['prefers'] == line['first'] == trial.side('first')
        assert line['heard_s'][trial.side('second')] == 4.5
        assert line['repeat'] == trial.repeat


def test_nothing_that_is_sent_tells_a_name_or_a_side(served):
    client, code = served.client, begin(served.client)
    said = set()
    for place in ('first', 'second'):
        sound = client.get(f'/api/listeners/{code}/trials/0/{place}')
        headers = dict(sound.headers)
        for word in ('content-length', 'date'):
            headers.pop(word)
        said.add(json.dumps(headers, sort_keys=True))
        with soundfile.SoundFile(io.BytesIO(sound.body)) as file:
            assert file.samplerate == 48_000
            assert not file.copy_metadata()
        assert b'system' not in sound.body
    (headers,) = said  # the two sides look alike
    assert not any(word in headers for word in (*NAMES, 'system'))


def test_a_part_of_a_sound_can_be_asked_for(served):
    path = f'/api/listeners/{begin(served.client)}/trials/0/first'
    part = served.client.send('GET', path, Range='bytes=4-7')
    assert part.status == 206
    assert part.body == served.client.get(path).body[4:8]


def test_only_the_trial_one_is_at_can_be_heard(served):
    code = begin(served.client)
    for number in (1, 3, 99):
        assert served.client.get(f'/api/listeners/{code}/trials/{number}/first').status == 404


def test_the_sounds_are_as_loud_and_the_gains_are_written_down(experiment):
    for index, pair in enumerate(experiment.pairs):
        levels = []
        for side in 'ab':
            audio, _ = soundfile.read(experiment.sound(index, side), dtype='float32')
            levels.append(loudness(audio))
            assert pair[side]['loudness_lufs'] + pair[side]['gain_db'] == pytest.approx(
                levels[-1], abs=0.1
            )
        assert levels[0] == pytest.approx(levels[1], abs=0.05)
        assert pair['a']['gain_db'] - pair['b']['gain_db'] == pytest.approx(20, abs=0.5)


def test_stopped_and_started_again_it_goes_on(tmp_path, folders, experiment):
    with serving(experiment) as served:
        code = begin(served.client)
        served.client.post(f'/api/listeners/{code}/answers', {'trial': 0, **ANSWER})
    again = prepare(tmp_path / 'out', *folders, limit=None, seed=3, progress=list)
    assert again == open_experiment(tmp_path / 'out') == experiment
    with serving(again) as served:
        assert served.client.get(f'/api/listeners/{code}').json['answered'] == 1


def test_a_folder_of_another_test_is_refused(tmp_path, folders, experiment):
    out = experiment.folder
    for other, seed, limit in (
        (folders[::-1], 3, None),
        (folders, 4, None),
        (folders, 3, 2),
    ):
        with pytest.raises(BadInput, match='holds a test of 3 pairs'):
            prepare(out, *other, limit=limit, seed=seed, progress=list)
    with pytest.raises(BadInput, match='no listening test'):
        open_experiment(pathlib.Path(tmp_path / 'nothing'))


def test_who_withdraws_is_unknown(served):
    code = begin(served.client)
    assert served.client.send('DELETE', f'/api/listeners/{code}').status == 204
    assert served.client.get(f'/api/listeners/{code}').status == 404
    assert served.client.send('DELETE', f'/api/listeners/{code}').status == 404


@pytest.mark.parametrize(
    'body', [{}, {'consent': False}, {'consent': 1}, {'consent': True, 'x': 1}, []]
)
def test_without_consent_nothing_begins(served, body):
    refused = 400 if body == {'consent': False} else 422
    assert served.client.post('/api/listeners', body).status == refused
    assert served.listening.test.answers.exists() is False


@pytest.mark.parametrize(
    'changed',
    [
        {'prefers': 'a'},
        {'prefers': None},
        {'trial': -1},
        {'trial': '0'},
        {'trial': 0.5},
        {'took_s': -1},
        {'took_s': 1e9},
        {'first_s': None},
        {'extra': 1},
        {'trial': 1},
    ],
)
def test_a_malformed_answer_is_refused_in_one_line_and_not_written(served, changed):
    code = begin(served.client)
    answer = served.client.post(f'/api/listeners/{code}/answers', {'trial': 0, **ANSWER, **changed})
    assert answer.status in (409, 422)
    assert '\n' not in answer.json['error']
    assert served.listening.answers.of(code) == []


def test_other_requests_that_are_refused(served):
    client = served.client
    assert client.get('/api/listeners/0123456789abcdef').status == 404
    for code in ('0123', '0123456789ABCDEF', '..%2f..%2fetc', 'answers.jsonl'):
        assert client.get(f'/api/listeners/{code}').status in (404, 422)
    code = begin(client)
    assert client.get(f'/api/listeners/{code}/trials/0/third').status == 422
    assert client.get(f'/api/listeners/{code}/trials/-1/first').status == 422
    assert client.get('/page/..%2fapp.py').status == 404
    assert client.send('POST', '/api/listeners', b'{"consent":' + b' ' * 9000).status == 413
    assert client.send('POST', '/api/listeners', b'not json').status == 422
    assert client.send('GET', '/', Origin='http://elsewhere.example').status == 403
    assert client.send('GET', '/', Host='elsewhere.example').status == 403


def test_with_a_token_who_has_none_hears_nothing(experiment):
    token = 'a-token-of-listeners'
    with serving(experiment, token=token) as served:
        port = served.client.port
        assert served.client.post('/api/listeners', {'consent': True}).status == 401
        let_in = served.client.get(f'/?token={token}')
        assert let_in.status == 303
        cookie = let_in.headers['set-cookie'].partition(';')[0]
        listener = Client(port, {'Cookie': cookie})
        assert listener.get('/page/listen.css').status == 200
        assert begin(listener)
