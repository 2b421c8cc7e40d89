"""A session on disk: opened as it was saved, and damage refused by the name of the file."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation.actions import Compose, Mix, Regenerate, Set, Undo, Upload
from jen1composer.generation.mixdown import mixdown
from jen1composer.generation.session import Session
from jen1composer.generation.session_folder import lock_session, open_session, save_session
from jen1composer.generation.session_steps import apply, plan
from jen1composer.tracks import TRACKS
from tests.jen1composer.fake_composer import compose, do
from tests.jen1composer.generation.test_session_steps import ACTION, new, tried
from tests.jen1composer.tiny_codec import sound


def sounds(session):
    """The bytes of all takes, and of what was uploaded."""
    return [
        [(take.id, take.audio.tobytes(), take.sound[0].tobytes(), take.sound[1])]
        for piece in session.pieces
        for lane in piece.lanes
        for take in lane.takes
    ]


def rich():
    """A session of seven pieces, one of them undone."""
    return do(
        Session.new(TRACKS, seconds=0.02, prompt='rock', tempo_bpm=120, key='A minor'),
        Compose(seed=1),
        Upload(track='bass', audio=sound(700, 1), rate=44100, name='mine ü\ud800.wav'),
        Upload(track='drums', audio=sound(2000, 2)),
        Regenerate(track='melody', spans=((0.001, 0.0123456789),), seed=2),
        Mix(track='bass', gain_db=-1 / 3, solo=True),
        Set(prompt='calm', seconds=0.03),
        Undo(),
    )


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTION, max_size=8))
def test_what_is_opened_is_what_was_saved(actions, tmp_path_factory):
    folder = tmp_path_factory.mktemp('session')
    session = new()
    for action in actions:
        session, _ = tried(session, action)
        if len(session.piece.lanes[0].takes) % 2:
            save_session(folder, session)  # saving in between changes nothing
    save_session(folder, session)
    opened = open_session(folder)
    assert opened == session
    assert sounds(opened) == sounds(session)
    files = {path.name for path in (folder / 'takes').iterdir()}
    ids = {take.id for p in session.pieces for lane in p.lanes for take in lane.takes}
    assert {name.split('.')[0] for name in files} == ids


def test_it_goes_on_after_opening_as_without(tmp_path):
    save_session(tmp_path, rich())
    opened = open_session(tmp_path)
    assert opened.can_redo
    more = [Compose(tracks=('melody',), seed=5), Mix(track='bass', solo=False)]
    assert do(opened, *more) == do(rich(), *more)
    assert opened.redo() == rich().redo()


def test_floats_that_are_no_numbers_come_back_bit_for_bit(tmp_path):
    session = new()
    piece = compose(plan(session, Compose()))
    bits = np.random.default_rng(0).integers(0, 2**32, (960, 2), dtype=np.uint32)
    piece.takes['bass'].audio[:] = bits.view(np.float32)
    session = apply(session, Compose(), piece)
    save_session(tmp_path, session)
    audio = open_session(tmp_path).piece.lane('bass').current.audio
    assert np.array_equal(audio.view(np.uint32), bits)


def test_saving_again_writes_no_take_twice_and_lets_go_of_what_is_gone(tmp_path):
    session = do(new(), Compose(seed=1), Compose(seed=2))
    save_session(tmp_path, session)
    takes = tmp_path / 'takes'
    before = {path.name: path.stat().st_mtime_ns for path in takes.iterdir()}
    assert len(before) == 8
    (takes / 'x.npy.77.aside').write_bytes(b'left by one that was killed')
    session = do(session, Undo(), Compose(tracks=('bass',), seed=3))
    save_session(tmp_path, session)
    after = {path.name: path.stat().st_mtime_ns for path in takes.iterdir()}
    assert len(after) == 5
    shared = before.keys() & after.keys()
    assert len(shared) == 4
    assert all(before[name] == after[name] for name in shared)


def damaged(folder, name, how):
    path = folder / name
    data = path.read_bytes()
    match how:
        case 'cut':
            path.write_bytes(data[:-3])
        case 'changed':
            path.write_bytes(data[:-90] + bytes([data[-90] ^ 1]) + data[-89:])
        case 'missing':
            path.unlink()
        case 'empty':
            path.write_bytes(b'')


@pytest.mark.parametrize('how', ['cut', 'changed', 'missing', 'empty'])
def test_a_damaged_file_is_refused_by_its_name(tmp_path, how):
    save_session(tmp_path, rich())
    names = [f'takes/{path.name}' for path in (tmp_path / 'takes').iterdir()]
    assert any(name.endswith('.upload.npy') for name in names)
    for name in ['session.json', *names]:
        whole = (tmp_path / name).read_bytes()
        damaged(tmp_path, name, how)
        with pytest.raises(BadInput) as refused:
            open_session(tmp_path)
        assert name in str(refused.value)
        assert '\n' not in str(refused.value)
        (tmp_path / name).write_bytes(whole)
    assert open_session(tmp_path) == rich()


def test_every_byte_of_the_json_counts(tmp_path):
    """Whichever is changed, the session is refused or the same: spaces and the like."""
    save_session(tmp_path, do(new(), Mix(track='bass', gain_db=-6)))
    path = tmp_path / 'session.json'
    data, whole = path.read_bytes(), open_session(tmp_path)
    refused = []
    for at in range(0, len(data), 3):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        try:
            opened = open_session(tmp_path)
        except BadInput as error:
            refused.append(str(error))
        else:
            assert opened == whole
    assert len(refused) > 100
    assert all('session.json' in line for line in refused)


@pytest.mark.parametrize('said', [[], {}, {'version': 1, 'sha256': '', 'session': {}}, 3])
def test_what_is_no_session_is_refused(tmp_path, said):
    (tmp_path / 'session.json').write_text(json.dumps(said))
    with pytest.raises(BadInput, match=r'session\.json'):
        open_session(tmp_path)
    with pytest.raises(BadInput, match='holds no session'):
        open_session(tmp_path / 'nowhere')


def test_a_later_version_is_refused(tmp_path):
    save_session(tmp_path, new())
    path = tmp_path / 'session.json'
    path.write_text(path.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(BadInput, match='version 2; allowed is 1'):
        open_session(tmp_path)


def test_a_name_in_the_json_leads_to_no_other_file(tmp_path):
    """Also where whoever made the folder computed its hashes."""
    from jen1composer.generation import session_folder

    save_session(tmp_path, do(new(), Compose(tracks=('bass',))))
    path = tmp_path / 'session.json'
    said = json.loads(path.read_text())
    content = said['session']
    ((name, take),) = content['takes'].items()
    content['takes'] = {'../../secret': take}
    said['sha256'] = session_folder.digest(session_folder._canonical(content))
    path.write_text(json.dumps(said))
    with pytest.raises(BadInput, match='is not what its id says'):
        open_session(tmp_path)
    assert len(name) == 16


# Without a composer, so that it starts in a moment.
SAVING = """
import sys
import numpy as np
from jen1composer.generation.lane_takes import About, made_take
from jen1composer.generation.session_folder import open_session, save_session
session = open_session(sys.argv[1])
print('begun', flush=True)
for number in range(10**6):
    piece = session.piece
    for lane in piece.lanes:
        audio = np.full((960, 2), np.float32(session.revision))
        piece = piece.with_lane(lane.with_take(made_take(audio, About(how='compose'))))
    session = session.step(piece, '{}')
    save_session(sys.argv[1], session)
    if number % 3 == 2:
        session = session.undo().undo()
"""


def test_a_session_whose_saving_is_killed_is_whole(tmp_path):
    save_session(tmp_path, new())
    revisions = []
    for number in range(6):
        saving = subprocess.Popen(
            [sys.executable, '-c', SAVING, str(tmp_path)],
            stdout=subprocess.PIPE,
        )
        assert saving.stdout.readline() == b'begun\n'
        time.sleep(0.05 + 0.037 * number)
        saving.send_signal(signal.SIGKILL)
        saving.wait()
        saving.stdout.close()
        revisions.append(open_session(tmp_path).revision)
    assert revisions == sorted(revisions)
    assert revisions[-1] > 0


def test_what_is_saved_is_on_the_disk_before_it_is_said_to_be(tmp_path, monkeypatch):
    """Sounds before `session.json`, and the names of both: a cut of power leaves no empty files."""
    synced, sync = [], os.fsync

    def note(file):
        synced.append(os.fstat(file).st_ino)
        sync(file)

    monkeypatch.setattr(os, 'fsync', note)
    folder = tmp_path / 'new'
    save_session(folder, do(Session.new(TRACKS, seconds=0.02), Compose()))
    takes = [path.stat().st_ino for path in (folder / 'takes').iterdir()]
    rest = [(folder / 'takes').stat(), (folder / 'session.json').stat(), folder.stat()]
    assert sorted(synced[1 : 1 + len(takes)]) == sorted(takes)
    assert [synced[0], *synced[1 + len(takes) :]] == [
        tmp_path.stat().st_ino,
        *(found.st_ino for found in rest),
    ]


def test_a_second_writer_is_refused_and_what_another_changed_stays(tmp_path):
    first = do(Session.new(TRACKS, seconds=0.02), Compose())
    lock = lock_session(tmp_path)
    with pytest.raises(BadInput, match='another process works on this session'):
        lock_session(tmp_path)
    save_session(tmp_path, first)
    lock.close()
    with lock_session(tmp_path):
        second = do(first, Set(prompt='rock'))
        save_session(tmp_path, second, after=first)
        with pytest.raises(BadInput, match='was changed meanwhile, to revision 2 from 1'):
            save_session(tmp_path, do(first, Compose(seed=2)), after=first)
        assert open_session(tmp_path) == second


def test_a_lost_take_of_an_old_step_closes_no_piece(tmp_path):
    session = do(new(), Compose(seed=1), Compose(seed=2))
    save_session(tmp_path, session)
    old = session.piece.lanes[0].takes[0]
    path = tmp_path / 'takes' / f'{old.id}.npy'
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    opened = open_session(tmp_path, lost_ok=True)
    assert opened == session
    assert opened.piece.lanes[0].takes[0].warnings == ('lost',)
    np.testing.assert_array_equal(mixdown(opened), mixdown(session))
    with pytest.raises(BadInput, match=f'the sound of {old.id}.npy is missing or damaged'):
        mixdown(opened.undo())
    save_session(tmp_path, opened)
    assert path.read_bytes() == data[:-1]  # who finds the file again has it again
    path.write_bytes(data)
    assert sounds(open_session(tmp_path)) == sounds(session)
