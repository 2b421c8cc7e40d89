"""Files that come in: what is no sound is refused in plain words, and nothing else happens."""

import io
import itertools
import json
import tempfile
import tracemalloc
import zipfile

import numpy as np
import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.serving import sound
from jen1composer.serving.limits import Limits
from jen1composer.serving.lines import line_of
from tests.jen1composer.serving import malformed
from tests.jen1composer.serving.tiny_service import http, noise

LIMITS = Limits(upload_s=10, upload_bytes=1_000_000, json_bytes=5000, receive_s=2.0)


@pytest.fixture(scope='module')
def client(tmp_path_factory, composer):
    with http(tmp_path_factory.mktemp('uploads'), composer, noise(), limits=LIMITS) as client:
        yield client


@pytest.fixture(scope='module')
def session(client):
    return client.post('/api/sessions').json()['id']


def upload(client, session, data, **query):
    query = {'track': 'bass'} | query
    return client.post(f'/api/sessions/{session}/uploads', params=query, content=data)


@pytest.mark.parametrize('number', range(60))
def test_what_is_malformed_is_refused_or_sound(client, session, number):
    kind, data = malformed.make(number)
    before = client.get(f'/api/sessions/{session}').json()
    answer = upload(client, session, data)
    after = client.get(f'/api/sessions/{session}').json()
    if answer.status_code == 200:  # some of what is changed is still a sound
        assert kind in ('cut', 'flipped', 'spliced', 'lying_wav', 'lying_flac')
        assert after['revision'] in (before['revision'], before['revision'] + 1)
    else:
        assert answer.status_code == 400, answer.text
        assert answer.json()['field'] in ('file', 'upload')
        assert len(answer.json()['error'].splitlines()) == 1
        assert after == before


@pytest.mark.parametrize(
    ('kind', 'channels', 'rate'),
    [
        *itertools.product(malformed.KINDS, (1, 2), (48_000,)),
        ('wav', 2, 44_100),
        ('flac', 1, 8_000),
    ],
)
def test_what_is_sound_is_taken(client, session, kind, channels, rate):
    if kind == 'ogg' and rate != 48_000:
        pytest.skip('not written so')
    data = malformed.sound(kind, channels=channels, rate=rate, seconds=0.5)
    answer = upload(client, session, data, name=f'mine.{kind}')
    assert answer.status_code == 200, answer.text
    lane = answer.json()['lanes'][0]
    assert lane['kept']
    assert abs(lane['takes'][-1]['seconds'] - 0.5) < 0.06
    assert lane['takes'][-1]['rate'] == rate


def test_a_file_that_says_more_than_it_may_hold_takes_no_memory():
    """A minute of silence is some kilobytes of FLAC; ten seconds are allowed."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros((48_000 * 300, 2), np.int16), 48_000, format='FLAC')
    assert len(file.getvalue()) < 200_000
    tracemalloc.start()
    with pytest.raises(BadInput, match=r'300.0 s long; allowed are up to 10 s'):
        sound.decode(file.getvalue(), 'file', limit_s=10)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(('subtype', 'dtype'), [('PCM_32', 'int32'), ('DOUBLE', 'float64')])
def test_samples_finer_than_float32_are_kept_as_they_came(client, session, subtype, dtype):
    audio = np.random.default_rng(0).uniform(-1, 1, (4800, 2))
    sent = (audio * 2**31).astype(np.int32) if dtype == 'int32' else audio
    file = io.BytesIO()
    soundfile.write(file, sent, 48_000, format='WAV', subtype=subtype)
    kept, _ = sound.decode(file.getvalue(), 'file', limit_s=1)
    back = np.round(kept * 2**31).astype(np.int64) if dtype == 'int32' else kept
    np.testing.assert_array_equal(back, sent)
    assert upload(client, session, file.getvalue()).status_code == 200
    stems = client.get(f'/api/sessions/{session}/stems.zip?kind=wav').content
    (inside,) = [name for name in unpacked(stems) if 'as_uploaded' in name]
    given, _ = soundfile.read(io.BytesIO(unpacked(stems)[inside]), always_2d=True)
    np.testing.assert_array_equal(given, kept)


def test_the_upload_stays_to_be_had_when_its_lane_goes_on(client):
    id = client.post('/api/sessions', json={'seconds': 0.2}).json()['id']
    data = malformed.sound('wav', rate=44_100, channels=1)
    assert upload(client, id, data).status_code == 200
    action = {'do': 'continue', 'seconds': 0.2}
    job = client.post(f'/api/sessions/{id}/actions', json=action).json()['job']
    while client.get(f'/api/jobs/{job}').json()['state'] != 'done':
        pass
    take = client.get(f'/api/sessions/{id}').json()['lanes'][0]['take']
    stems = unpacked(client.get(f'/api/sessions/{id}/stems.zip').content)
    alone = client.get(f'/api/sessions/{id}/takes/{take}.original.wav')
    assert stems['as_uploaded/bass.wav'] == alone.content
    sent, given = (soundfile.read(io.BytesIO(file)) for file in (data, alone.content))
    np.testing.assert_array_equal(sent[0], given[0])
    assert sent[1] == given[1]
    drums = client.get(f'/api/sessions/{id}/takes/{32 * "a"}.original.wav')
    assert drums.status_code == 404


def test_numbers_that_are_no_sound_are_refused(client, session):
    file = io.BytesIO()
    soundfile.write(file, np.full((100, 2), 3e38, np.float32), 48_000, 'FLOAT', format='WAV')
    answer = upload(client, session, file.getvalue())
    assert (answer.status_code, answer.json()['field']) == (400, 'file')


@pytest.mark.parametrize('kind', ['wav', 'flac', 'ogg'])
def test_what_is_read_ends_at_the_limit_whatever_the_header_says(monkeypatch, kind):
    monkeypatch.setattr(sound, '_check_header', lambda *_: None)  # as if it had lied
    with pytest.raises(BadInput, match='longer than 1 s'):
        sound.decode(malformed.sound(kind, seconds=5), 'file', limit_s=1)


def test_a_body_is_counted_while_it_comes_in(client, session):
    sent = 0

    def parts():
        nonlocal sent
        while True:
            sent += 100_000
            yield b'x' * 100_000

    answer = upload(client, session, itertools.islice(parts(), 10))
    assert answer.status_code == 400  # a million bytes are allowed, and no sound
    answer = upload(client, session, itertools.islice(parts(), 11))
    assert answer.status_code == 413
    answer = client.post(f'/api/sessions/{session}/actions', content=itertools.islice(parts(), 1))
    assert answer.status_code == 413
    stated = {'Content-Length': '2000000'}
    path = f'/api/sessions/{session}/uploads?track=bass'
    assert client.post(path, content=b'x', headers=stated).status_code == 413


def test_unknown_tracks_and_sessions_are_named(client, session):
    data = malformed.sound('wav')
    answer = upload(client, session, data, track='violin')
    assert (answer.status_code, answer.json()['field']) == (400, 'track')
    assert upload(client, 32 * 'a', data).status_code == 404
    assert upload(client, session, data, name='x' * 201).status_code == 422
    assert client.post(f'/api/sessions/{session}/uploads', content=data).status_code == 422


def packed(files: dict[str, bytes], **options) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope='module')
def away(client):
    """The files of a session with music in it."""
    session = client.post('/api/sessions', json={'starter': True}).json()['id']
    return unpacked(client.get(f'/api/sessions/{session}/session.zip').content)


def bring(client, data):
    return client.post('/api/sessions/import', content=data)


def test_a_session_comes_back_from_its_file(client, away):
    answer = bring(client, packed(away))
    assert answer.status_code == 201, answer.text
    assert all(lane['take'] for lane in answer.json()['lanes'])


def test_a_session_larger_than_an_upload_comes_back_from_its_file(client):
    session = client.post('/api/sessions', json={'seconds': 2.0}).json()['id']
    job = client.post(f'/api/sessions/{session}/actions', json={'do': 'compose'}).json()['job']
    while client.get(f'/api/jobs/{job}').json()['state'] != 'done':
        pass
    data = client.get(f'/api/sessions/{session}/session.zip').content
    limits = client.get('/api/about').json()['limits']
    assert LIMITS.upload_bytes < len(data) < limits['import_bytes']
    assert bring(client, data).status_code == 201
    stated = {'Content-Length': str(limits['import_bytes'] + 1)}
    answer = client.post('/api/sessions/import', content=b'x', headers=stated)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    'name', ['../evil', '/etc/passwd', 'takes/../x.npy', 'takes/0123456789abcdef.npy/x', 'a\\b']
)
def test_an_archive_names_no_path(client, away, name):
    answer = bring(client, packed(away | {name: b'x'}))
    assert answer.status_code == 400
    assert 'no part of a session' in answer.json()['error']


def test_an_archive_that_unpacks_to_much_is_refused(client, away):
    answer = bring(client, packed(away | {'takes/0123456789abcdef.npy': bytes(900_000_000)}))
    assert answer.status_code == 400
    assert 'more than a session may' in answer.json()['error']


def test_the_json_of_an_archive_is_bounded_by_itself(client, away):
    padded = away['session.json'] + b' ' * (5 << 20)  # far less than its sounds may be
    answer = bring(client, packed(away | {'session.json': padded}))
    assert answer.status_code == 400
    assert 'more than a session may' in answer.json()['error']


def damaged(content, path, value):
    """`content` with the value at `path` replaced."""
    *most, last = path
    for key in most:
        content = content[key]
    content[last] = value


@pytest.mark.parametrize(
    ('path', 'value'),
    [
        (['pieces', 1, 'num_samples'], 10**12),
        (['pieces', 1, 'num_samples'], 'many'),
        (['pieces', 1, 'num_samples'], -1),
        (['pieces', 1, 'prompt'], 7),
        (['pieces', 1, 'tempo_bpm'], 'fast'),
        (['pieces', 1, 'key'], 'H minor'),
        (['pieces', 1, 'lanes', 0, 'track'], '../bass'),
        (['pieces', 1, 'lanes', 0, 'gain_db'], 1e9),
        (['pieces', 1, 'lanes', 0, 'kept'], 'yes'),
        (['pieces', 1, 'lanes', 0, 'current'], 'nobody'),
        (['pieces'], []),
        (['asked', 1], 'no json'),
        (['at'], 5),
        (['revision'], -1),
        (['takes'], {}),
        (['pieces', 1, 'lanes'], None),
        (['pieces', 1, 'more'], 1),
    ],
)
def test_a_session_that_is_none_is_refused(client, away, path, value):
    from jen1composer.generation.session_folder import _canonical, digest

    said = json.loads(away['session.json'])
    damaged(said['session'], path, value)
    said['sha256'] = digest(_canonical(said['session']))
    answer = bring(client, packed(away | {'session.json': json.dumps(said).encode()}))
    assert answer.status_code == 400, answer.text
    assert '/tmp' not in answer.json()['error']


@pytest.mark.parametrize('missing', ['session.json', 'a take'])
def test_what_an_archive_lacks_is_named_without_a_folder_of_the_server(client, away, missing):
    take = next(name for name in away if name != 'session.json')
    name = take if missing == 'a take' else missing
    answer = bring(client, packed({key: data for key, data in away.items() if key != name}))
    assert answer.status_code == 400
    assert name.rpartition('/')[2] in answer.json()['error']
    assert tempfile.gettempdir() not in answer.json()['error']


@pytest.mark.parametrize('damage', ['session.json', 'takes'])
def test_a_damaged_session_is_told_without_the_folders_of_the_server(tmp_path, composer, damage):
    limits = Limits(open_bytes=0)
    tmp_path = tmp_path / 'my music'
    with http(tmp_path, composer, noise(), limits=limits) as client:
        first, _ = (
            client.post('/api/sessions', json={'starter': True}).json()['id'] for _ in range(2)
        )
        folder = tmp_path / 'sessions' / first
        path = next((folder / 'takes').iterdir()) if damage == 'takes' else folder / damage
        path.write_bytes(b'x')
        whole = client.get(f'/api/sessions/{first}')
        if damage == 'takes':  # the rest of it is still there
            warned = [lane['takes'][0]['warnings'] for lane in whole.json()['lanes']]
            assert (whole.status_code, warned.count(['lost'])) == (200, 1)
        gets = ('/mix.wav', '/stems.zip') if damage == 'takes' else ('', '/mix.wav')
        for get in gets:
            answer = client.get(f'/api/sessions/{first}{get}')
            assert answer.status_code == 400, answer.text
            assert path.name in answer.json()['error']
            assert str(tmp_path) not in answer.json()['error']


@pytest.mark.parametrize(
    ('line', 'said'),
    [
        ('/srv/x-1/.d/takes/1.npy: is cut off', '1.npy: is cut off'),
        ("file: [Errno 2] No such file: '/tmp/x/y.json'", "file: [Errno 2] No such file: 'y.json'"),
        ('key: rock/pop; see gs://bucket/x', 'key: rock/pop; see gs://bucket/x'),
    ],
)
def test_of_a_path_the_last_part_is_said(line, said):
    assert line_of(line) == said


@pytest.mark.parametrize('number', range(20))
def test_no_archive_is_refused(client, number):
    _, data = malformed.make(number)
    assert bring(client, data).status_code == 400


@pytest.mark.parametrize('number', range(20))
def test_what_is_no_safetensors_is_refused(client, number):
    _, data = malformed.make(number)
    assert client.post('/api/decode', content=data).status_code == 400
