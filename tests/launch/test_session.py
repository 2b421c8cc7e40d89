"""launch.session: its short forms, and the loop of composing by commands on a tiny composer."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    Compose,
    Continue,
    Forget,
    Keep,
    Mix,
    Redo,
    Regenerate,
    Select,
    Set,
    Undo,
    Vary,
)
from jen1composer.generation.session import Session
from jen1composer.generation.session_folder import open_session
from jen1composer.tracks import TRACKS
from launch.session_actions import parse_actions, upload
from launch.session_run import SessionRun, mix_kind, write_mix
from tests.jen1composer import tiny_composer
from tests.jen1composer.fake_composer import do
from tests.jen1composer.tiny_codec import sound

ROOT = pathlib.Path(__file__).parents[2]
NEW = Session.new(TRACKS, seconds=0.02)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with composer/, a workdir, and bass.wav at another rate."""
    folder = tmp_path_factory.mktemp('session')
    tiny_composer.save(tiny_composer.composer(spans=True), folder / 'composer')
    soundfile.write(folder / 'bass.wav', sound(700, 1), 44100, subtype='FLOAT')
    return folder


def run(*flags):
    """The command's status, what it said, and its errors."""
    done = subprocess.run(
        [sys.executable, '-m', 'launch.session', *map(str, flags)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ('text', 'actions'),
    [
        ('compose', [Compose()]),
        ('compose:bass,drums seed=3 steps=7', [Compose(tracks=('bass', 'drums'), seed=3, steps=7)]),
        ('compose guidance=1.5 strength=.5', [Compose(guidance=1.5, strength=0.5)]),
        ('regenerate:bass seed=2', [Regenerate(track='bass', seed=2)]),
        ('regenerate:bass:1-2.5,4-5', [Regenerate(track='bass', spans=((1, 2.5), (4, 5)))]),
        ('continue:5', [Continue(seconds=5)]),
        ('continue:5:start:bass', [Continue(seconds=5, side='start', tracks=('bass',))]),
        ('vary:melody:.4 seed=1', [Vary(track='melody', strength=0.4, seed=1)]),
        ('keep:bass,drums', [Keep(track='bass'), Keep(track='drums')]),
        ('open:bass', [Keep(track='bass', kept=False)]),
        ('gain:bass:-3', [Mix(track='bass', gain_db=-3)]),
        ('mute:bass', [Mix(track='bass', muted=True)]),
        ('unsolo:bass', [Mix(track='bass', solo=False)]),
        ('prompt:dark rock: fast seed=3', [Set(prompt='dark rock: fast seed=3')]),
        ('tempo:120', [Set(tempo_bpm=120)]),
        ('key:A minor', [Set(key='A minor')]),
        ('seconds:8', [Set(seconds=8)]),
        ('undo', [Undo()]),
        ('redo', [Redo()]),
        ('forget', [Forget()]),
        (' {"do": "keep", "track": "bass"}', [Keep(track='bass')]),
    ],
)
def test_actions_are_written_in_short_or_as_json(text, actions):
    assert list(parse_actions(text, NEW)) == actions


def test_a_take_is_named_by_the_beginning_of_its_id():
    session = do(NEW, Compose(seed=1), Compose(seed=2))
    first = session.piece.lane('bass').takes[0]
    found = parse_actions(f'select:bass:{first.id[:6]}', session)
    assert found == (Select(track='bass', take=first.id),)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('', "--do=: unknown action ''; allowed are upload, compose"),
        ('sing', "--do=sing: unknown action 'sing'"),
        ('keep', 'allowed is keep:TRACK,...'),
        ('gain:bass', 'allowed is gain:TRACK:GAIN_DB'),
        ('continue', 'allowed is continue:SECONDS[:SIDE][:TRACKS]'),
        ('undo:2', 'allowed is undo'),
        ('compose seed', "'seed'; allowed are words such as seed=3"),
        ('compose sed=3', 'sed: compose has no such field'),
        ('compose seed=x', "seed: 'x' is no number"),
        ('regenerate:bass:1', 'spans: [1]; allowed is [from, to]'),
        ('regenerate:bass:a-b', "spans: 'a' is no number"),
        ('upload:bass', 'allowed is upload:TRACK:FILE'),
        ('upload:bass:nowhere.wav', 'nowhere.wav: cannot be opened'),
        ('{"do"', 'is not JSON'),
        ('{"do": "sing"}', "do: 'sing'; allowed are compose"),
    ],
)
def test_what_is_no_action_is_refused_with_what_was_written(text, said):
    with pytest.raises(BadInput) as refused:
        parse_actions(text, NEW)
    assert str(refused.value).startswith(f'--do={text}: ')
    assert said in str(refused.value)


@pytest.mark.parametrize('subtype', ['PCM_16', 'PCM_24', 'PCM_32', 'FLOAT', 'DOUBLE'])
def test_what_a_file_holds_comes_through_to_the_last_bit(tmp_path, subtype):
    path = tmp_path / 'mine.wav'
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, (99, 2)), 8000, subtype=subtype)
    expected, rate = soundfile.read(path, always_2d=True)  # float64
    found = upload('bass', str(path))
    assert (found.rate, found.name) == (rate, 'mine.wav')
    assert np.array_equal(found.audio.astype(np.float64), expected)


def test_the_loop_by_commands(folder, tmp_path):
    session, checkpoint = tmp_path / 'song', folder / 'composer'
    status, said, error = run(
        f'--session={session}',
        f'--checkpoint={checkpoint}',
        *('--prompt=dark rock', '--seconds=.03', '--tempo=120', '--key=A minor'),
        f'--upload=bass={folder}/bass.wav',
        *('--do=compose seed=3 steps=2', '--do=keep:drums', '--do={"do":"compose","steps":2}'),
        *('--do=regenerate:melody:.01-.02 steps=2', '--do=continue:.01 steps=2', '--do=undo'),
        *(f'--mix={tmp_path}/mix.wav', f'--stems={tmp_path}/stems', '--lufs=-30'),
    )
    assert status == 0, error
    lines = said.splitlines()
    assert lines[0] == ('0.03 s, "dark rock in A minor at a brisk 120 bpm", can undo and redo')
    assert [line.split()[0] for line in lines[1:6]] == ['lane', *TRACKS]
    facts = json.loads((session / 'lanes.json').read_text())
    assert json.loads(lines[-1])['json'] == f'{session}/lanes.json'
    assert [len(lane['takes']) for lane in facts['lanes']] == [1, 1, 2, 3]
    assert facts['lanes'][3]['takes'][-1]['made_s'] == [[0.01, 0.02]]
    assert {path.name for path in (tmp_path / 'stems').iterdir()} == {
        *(f'{name}_120bpm_Am.flac' for name in (*TRACKS, 'mix')),
        *('stems.json', 'as_uploaded'),
    }
    back, rate = soundfile.read(tmp_path / 'stems' / 'as_uploaded' / 'bass.wav', dtype='float32')
    assert (rate, np.array_equal(back[:, None], sound(700, 1))) == (44100, True)
    mix, _ = soundfile.read(tmp_path / 'mix.wav')
    assert mix.shape == (1440, 2)

    before = open_session(session)
    again = SessionRun.start(session, settings={})
    for text in ('redo', 'gain:bass:-6'):
        again.do(text)
    after = open_session(session)
    assert after.piece.num_samples == 1920
    assert after.undo().piece == before.redo().piece


def test_the_same_commands_make_the_same_takes_and_python_does_too(folder, tmp_path):
    made = []
    for name in 'ab':
        session = SessionRun.start(
            tmp_path / name, checkpoint=str(folder / 'composer'), settings={'seconds': 0.02}
        )
        session.do('compose seed=3 steps=2')
        session.do('vary:bass:.3 steps=2')
        session.report({})
        made.append(open_session(tmp_path / name))
    assert made[0] == made[1]
    composer = tiny_composer.composer(spans=True)
    actions = Compose(seed=3, steps=2), Vary(track='bass', strength=0.3, steps=2)
    assert do(NEW, *actions, compose=composer.compose).piece == made[0].piece


def test_what_cannot_be_done_is_one_line(tmp_path):
    status, _, error = run(f'--session={tmp_path}/song', '--undo')
    assert (status, error) == (
        2,
        'error: undo: nothing was done yet; allowed is undo after a step\n',
    )


@pytest.mark.parametrize(
    ('call', 'said'),
    [
        (lambda run: run.do('vary:bass'), "--do=vary:bass: vary: track 'bass' has no take yet"),
        (lambda run: run.upload(['bass']), '--upload=bass: allowed is TRACK=FILE'),
        (lambda run: run.upload(['x=a.wav']), "--upload: unknown track 'x'"),
        (lambda run: mix_kind('x.mp3'), '--mix=x.mp3: allowed is a file that ends in .flac'),
        (lambda run: write_mix('/no/where.wav', run.session, None), '--mix=/no/where.wav: No such'),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, call, said):
    with pytest.raises(BadInput) as refused:
        call(SessionRun.start(tmp_path, settings={}))
    assert str(refused.value).startswith(said)
    assert not any(tmp_path.iterdir())


def test_a_folder_of_something_else_and_other_lanes_are_refused(folder, tmp_path):
    (tmp_path / 'note.txt').write_text('mine')
    with pytest.raises(BadInput, match='holds no session, and is not empty'):
        SessionRun.start(tmp_path, settings={})
    SessionRun.start(tmp_path / 'two', tracks=['bass', 'voice'], settings={}).report({})
    with pytest.raises(BadInput, match=r'the session in .* has bass,voice, which stay'):
        SessionRun.start(tmp_path / 'two', tracks=['bass'], settings={})
    run = SessionRun.start(tmp_path / 'two', checkpoint=str(folder / 'composer'), settings={})
    with pytest.raises(BadInput, match='makes bass, drums, instrument, melody; the session has'):
        run.do('compose')
