"""What a session's actions do, whatever the composer: laws over any sequence of them."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    Compose,
    Composed,
    Continue,
    Forget,
    Keep,
    Mix,
    Redo,
    Regenerate,
    Select,
    Set,
    Undo,
    Upload,
    Vary,
)
from jen1composer.generation.session import Session, session_to_json
from jen1composer.generation.session_steps import apply, plan
from jen1composer.tracks import TRACKS
from tests.jen1composer.fake_composer import do
from tests.jen1composer.tiny_codec import sound

SECONDS = 0.02
N = 960

track = st.sampled_from(TRACKS)
tracks = st.lists(track, max_size=4).map(tuple)
seed = st.integers(0, 2)
ACTION = st.one_of(
    st.builds(Compose, tracks=tracks, seed=seed, strength=st.sampled_from([1.0, 0.5])),
    st.builds(
        Regenerate,
        track=track,
        seed=seed,
        spans=st.sampled_from([(), ((0.0, 0.01),), ((0.004, 0.008), (0.01, 0.02))]),
    ),
    st.builds(
        Continue,
        tracks=tracks,
        seed=seed,
        seconds=st.sampled_from([0.001, 0.01]),
        side=st.sampled_from(['end', 'start']),
    ),
    st.builds(Vary, track=track, seed=seed, strength=st.sampled_from([0.0, 0.5, 1.0])),
    st.builds(
        Upload,
        track=track,
        audio=st.sampled_from([sound(300, 1), sound(N, 2), sound(3 * N, 2)]),
        rate=st.sampled_from([8000, 44100, 48000]),
    ),
    st.builds(Keep, track=track, kept=st.booleans()),
    st.builds(Mix, track=track, gain_db=st.sampled_from([None, -6.0]), muted=st.booleans()),
    st.builds(Set, prompt=st.sampled_from([None, 'rock']), seconds=st.sampled_from([None, 0.01])),
    st.just('select'),
    st.just(Undo()),
    st.just(Redo()),
)


def new():
    return Session.new(TRACKS, seconds=SECONDS)


def heard(session, name):
    piece = session.piece
    return piece.lane(name).current.heard(piece.start, piece.num_samples)


def tried(session, action):
    """The session after `action`, or as it was where that is refused."""
    if action == 'select':
        lane = max(session.piece.lanes, key=lambda lane: len(lane.takes))
        action = Select(track=lane.track, take=lane.takes[0].id if lane.takes else '')
    try:
        return do(session, action), action
    except BadInput:
        return session, None


@settings(max_examples=150, deadline=None)
@given(actions=st.lists(ACTION, max_size=12))
def test_undo_after_any_actions_gives_exactly_what_was_there_and_redo_what_came(actions):
    session, ways = new(), [new().piece]
    for action in actions:
        before = session
        session, _ = tried(session, action)
        assert session == before or session.revision == before.revision + 1
        if isinstance(action, Undo | Redo):
            ways = list(session.pieces[: session.at + 1])
        elif session is not before:
            ways.append(session.piece)
    assert json.loads(json.dumps(session_to_json(session), allow_nan=False))
    last = session
    for piece in reversed(ways[:-1]):
        session = session.undo()
        assert session.piece == piece
    assert not session.can_undo
    for piece in ways[1:]:
        session = session.redo()
        assert session.piece == piece
    assert session.piece == last.piece


@settings(max_examples=200, deadline=None)
@given(actions=st.lists(ACTION, max_size=10))
def test_a_kept_lane_is_untouched_by_whatever_is_composed(actions):
    session = new()
    for action in actions:
        before = session
        session, action = tried(session, action)
        if not isinstance(action, Composed):
            continue
        moved = before.piece.start - session.piece.start
        for lane in before.piece.lanes:
            after = session.piece.lane(lane.track)
            assert after.takes[: len(lane.takes)] == lane.takes
            if not lane.kept or lane.current is None:
                continue
            assert after.kept
            now = heard(session, lane.track)[moved : moved + before.piece.num_samples]
            assert now.tobytes() == heard(before, lane.track).tobytes()
            assert isinstance(action, Continue) or after.current == lane.current


@settings(max_examples=60, deadline=None)
@given(actions=st.lists(ACTION, max_size=8))
def test_the_same_actions_make_the_same_session(actions):
    one, two = new(), new()
    for action in actions:
        one, two = tried(one, action)[0], tried(two, action)[0]
    assert one == two
    for name in TRACKS:
        takes = zip(one.piece.lane(name).takes, two.piece.lane(name).takes, strict=True)
        assert all(a.audio.tobytes() == b.audio.tobytes() for a, b in takes)


def test_what_is_done_after_undo_takes_the_place_of_what_was_undone():
    session = do(new(), Compose(seed=1), Undo(), Compose(seed=2))
    assert not session.can_redo
    assert session.piece == do(new(), Compose(seed=2)).piece


def test_composing_listens_to_kept_lanes_and_leaves_out_the_others():
    session = do(new(), Compose(), Keep(track='bass'), Keep(track='melody'))
    request = plan(session, Compose(tracks=('drums',), seed=5, guidance=None, steps=7))
    assert (request.targets, set(request.given)) == (('drums',), {'bass', 'melody'})
    assert (request.seed, request.num_steps, request.seconds) == (5, 7, SECONDS)
    rest = plan(session, Compose())
    assert rest.targets == ('drums', 'instrument')
    varied = plan(session, Compose(strength=0.5))
    assert (varied.targets, set(varied.edits), varied.strength) == ((), set(rest.targets), 0.5)


def test_a_span_is_made_anew_beside_all_that_sounds_and_the_rest_of_it_stays():
    before = do(new(), Compose(seed=1))
    after = do(before, Regenerate(track='bass', spans=((0.005, 0.01),), seed=2))
    assert set(plan(before, Regenerate(track='bass')).given) == set(TRACKS) - {'bass'}
    changed = (heard(after, 'bass') != heard(before, 'bass')).any(axis=1)
    assert np.flatnonzero(changed)[[0, -1]].tolist() == [240, 479]
    take = after.piece.lane('bass').current
    assert take.about.source == before.piece.lane('bass').current.id
    said = session_to_json(after)['lanes'][0]['takes'][-1]
    assert (said['made_s'], said['how'], said['seed']) == ([[0.005, 0.01]], 'regenerate', 2)
    assert set(said['given']) == set(TRACKS) - {'bass'}


@pytest.mark.parametrize('side', ['end', 'start'])
def test_a_piece_goes_on_to_either_side_and_stays_what_it_was(side):
    before = do(new(), Compose(seed=1))
    after = do(before, Continue(seconds=0.01, side=side, tracks=('bass', 'drums'), seed=2))
    assert after.piece.num_samples == N + 480
    place = slice(480, None) if side == 'start' else slice(N)
    for name in TRACKS:
        assert np.array_equal(heard(after, name)[place], heard(before, name))
    new_part = slice(480) if side == 'start' else slice(N, None)
    assert heard(after, 'bass')[new_part].any()
    assert not heard(after, 'melody')[new_part].any()
    again = do(after, Select(track='bass', take=before.piece.lane('bass').current.id))
    assert np.array_equal(heard(again, 'bass')[place], heard(before, 'bass'))
    start_s = session_to_json(again)['lanes'][0]['takes'][0]['start_s']
    assert start_s == (0.01 if side == 'start' else 0)


def test_an_upload_longer_than_the_piece_is_heard_when_the_piece_goes_on():
    long = sound(2 * N, 2)
    session = do(new(), Upload(track='bass', audio=long), Compose())
    action = Continue(seconds=0.01)
    assert set(plan(session, action).given) == {'bass'}
    session = do(session, action)
    assert np.array_equal(heard(session, 'bass'), long[: N + 480])
    assert len(session.piece.lane('bass').takes) == 1
    only = do(new(), Upload(track='bass', audio=long))
    assert plan(only, action) is None  # all of it is there already
    assert do(only, action).piece.num_samples == N + 480


@pytest.mark.parametrize(
    ('shape', 'rate'), [((700, 1), 44100), ((5000, 2), 96000), ((N, 2), 48000)]
)
def test_an_upload_is_heard_in_the_piece_and_returned_untouched(shape, rate):
    audio = sound(*shape)
    session = do(new(), Upload(track='bass', audio=audio, rate=rate, name='my.wav'))
    lane = session.piece.lane('bass')
    returned, its_rate = lane.current.sound
    assert (returned.tobytes(), returned.shape, its_rate) == (audio.tobytes(), shape, rate)
    assert lane.kept
    assert heard(session, 'bass').shape == (N, 2)
    assert lane.current.seconds == pytest.approx(len(audio) / rate, abs=1e-4)
    request = plan(session, Compose())
    assert request.given['bass'].shape == (N, 2)
    assert not request.given['bass'][round(len(audio) / rate * 48_000) + 1 :].any()
    audio[:] = 0  # what is written to one's own array does not reach the session
    assert lane.current.sound[0].any()


def test_float64_comes_back_as_float64():
    audio = np.random.default_rng(0).uniform(-1, 1, (N, 2))
    take = do(new(), Upload(track='bass', audio=audio)).piece.lane('bass').current
    assert take.sound[0].tobytes() == audio.tobytes()
    assert np.array_equal(take.audio, audio.astype(np.float32))


@pytest.mark.parametrize(
    ('scale', 'said'),
    [
        (1.0, []),
        (0.0, ['silent']),
        (1e-3, ['silent']),
        (30.0, ['clipped']),
        (np.inf, ['not finite']),
    ],
)
def test_what_came_out_wrong_is_said(scale, said):
    def compose(request):
        from tests.jen1composer.fake_composer import compose

        piece = compose(request)
        with np.errstate(invalid='ignore'):
            for take in piece.takes.values():
                for start, end in take.holes:
                    take.audio[start:end] *= np.float32(scale)
        return piece

    session = do(
        do(new(), Compose()), Regenerate(track='bass', spans=((0, 0.01),)), compose=compose
    )
    take = session_to_json(session)['lanes'][0]['takes'][-1]
    assert take['warnings'] == said
    assert json.dumps(take, allow_nan=False)
    if scale == np.inf:
        with pytest.raises(BadInput, match="given 'bass': holds samples that are not finite"):
            plan(session, Regenerate(track='drums'))


def test_tempo_and_key_are_told_to_the_composer_and_can_be_taken_away():
    session = do(new(), Set(prompt='dark rock', tempo_bpm=120, key='A minor'))
    assert plan(session, Compose()).prompt == 'dark rock in A minor at a brisk 120 bpm'
    request = plan(session, Compose())
    assert (request.bpm, request.key, request.chords) == (None, '', '')  # words say it all
    session = do(session, Set(tempo_bpm=0, key=''))
    assert plan(session, Compose()).prompt == 'dark rock'
    assert session.piece.tempo_bpm is None


@pytest.mark.parametrize(
    ('actions', 'said'),
    [
        ([Undo()], 'undo: nothing was done yet'),
        ([Compose(), Redo()], 'redo: nothing was undone'),
        ([Keep(track='guitar')], "track: unknown track 'guitar'; allowed are bass, drums"),
        ([Compose(tracks=('guitar',))], "tracks: unknown track 'guitar'"),
        ([Keep(track=t) for t in TRACKS] + [Compose()], 'compose: every lane is kept'),
        ([Keep(track='bass'), Compose(tracks=('bass',))], "compose: track 'bass' is kept"),
        ([Compose(), Keep(track='bass'), Vary(track='bass')], "vary: track 'bass' is kept"),
        ([Keep(track='bass'), Regenerate(track='bass')], "regenerate: track 'bass' is kept"),
        ([Vary(track='bass')], "vary: track 'bass' has no take yet"),
        ([Compose(strength=0.5)], "compose: track 'bass' has no take yet"),
        ([Continue(seconds=1)], 'continue: no lane has a take yet'),
        ([Compose(), Continue(seconds=600)], 'seconds: 600.02; allowed are 0.01 to 600'),
        ([Compose(), Regenerate(track='bass', spans=((1, 2),))], "regenerate 'bass': regenerate"),
        ([Select(track='bass', take='ff')], "take: 'ff'; allowed of 'bass' are none yet"),
        ([Compose(guidance=2.0)], 'text_guidance: 2.0; it needs a prompt'),
        ([Upload(track='bass', audio=sound(9, 3))], 'upload: shape (9, 3); allowed is'),
        ([Upload(track='bass', audio=sound(9, 2) * np.nan)], 'not finite'),
        ([Upload(track='bass', audio=sound(9, 2), rate=10)], 'upload: 10 samples a second'),
        ([Upload(track='bass', audio=np.zeros((9, 2), int))], 'upload: samples of int64'),
        ([Upload(track='bass', audio=np.full((9, 2), 1e300))], 'beyond what float32 can hold'),
    ],
)
def test_what_cannot_be_done_is_refused(actions, said):
    with pytest.raises(BadInput) as refused:
        do(new(), *actions)
    assert said in str(refused.value)


def test_a_composition_of_another_request_is_no_take():
    with pytest.raises(ValueError, match='just where the plan is a request'):
        apply(new(), Compose())
    with pytest.raises(ValueError, match='just where the plan is a request'):
        apply(new(), Keep(track='bass'), do)


@settings(max_examples=50, deadline=None)
@given(actions=st.lists(ACTION, max_size=8))
def test_to_forget_leaves_what_is_heard_and_no_more(actions):
    session = new()
    for action in actions:
        session, _ = tried(session, action)
    after = do(session, Forget())
    assert len(after.pieces) == 1
    assert (after == session) == (after.revision == session.revision)
    for before, lane in zip(session.piece.lanes, after.piece.lanes, strict=True):
        assert lane == dataclasses.replace(before, takes=lane.takes)
        assert lane.takes[-1:] == ((before.current,) if before.current else ())
        if len(lane.takes) > 1:
            assert lane.takes[0].about.how == 'upload'
    assert do(after, Forget()) == after


def test_the_upload_that_a_take_goes_on_from_is_not_forgotten():
    upload = Upload(track='bass', audio=sound(N, 2), rate=48000)
    session = do(new(), upload, Continue(seconds=0.01), Continue(seconds=0.01), Forget())
    first, *_, last = session.piece.lane('bass').takes
    assert (first.about.how, session.upload_of(last)) == ('upload', first)


def test_a_composer_with_control_is_told_in_numbers_and_chords_need_one():
    session = do(Session.new(TRACKS, seconds=1.0, key='A minor'), Set(tempo_bpm=120, chords='Am F'))
    request = plan(session, Compose(control_guidance=1.5), controlled=True)
    assert (request.bpm, request.key, request.chords) == (120, 'A minor', 'Am F')
    assert request.control_guidance == 1.5
    assert request.prompt == 'music in A minor at a brisk 120 bpm'
    with pytest.raises(BadInput, match="chords: 'Am F'; this composer was trained without"):
        plan(session, Compose())
    with pytest.raises(BadInput, match="chords: 'Am F'; they last beats, so a bpm"):
        plan(do(session, Set(tempo_bpm=0)), Compose(), controlled=True)
    with pytest.raises(BadInput, match="chords: 'H'"):
        Set(chords='Am H')
    assert do(session, Set(chords='')).piece.chords is None
