"""Sessions with a composer of random weights: every task that there is, and the loop of them."""

import itertools

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    Compose,
    Continue,
    Keep,
    Regenerate,
    Select,
    Upload,
    Vary,
)
from jen1composer.generation.request import Request
from jen1composer.generation.session import Session, session_to_json
from jen1composer.generation.session_steps import plan
from jen1composer.tracks import TRACKS, Role
from tests.jen1composer import fake_composer, tiny_composer
from tests.jen1composer.tiny_codec import sound

SECONDS = 0.02
N = 960
STEPS = {'steps': 2}


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


@pytest.fixture(scope='module')
def do(composer):
    return lambda session, *actions: fake_composer.do(session, *actions, compose=composer.compose)


def new(seconds=SECONDS):
    return Session.new(TRACKS, seconds=seconds, prompt='rock', tempo_bpm=120, key='A minor')


def heard(session, name):
    piece = session.piece
    return piece.lane(name).current.heard(piece.start, piece.num_samples)


TASKS = [roles for roles in itertools.product(list(Role), repeat=4) if Role.TARGET in roles]


def test_every_subset_of_targets_and_givens_is_composed_in_a_session(do):
    """Of 65 tasks: what is given is kept, what is left out is open and not named."""
    assert len(TASKS) == 65
    uploads = [Upload(track=name, audio=sound(N, 2, seed=k)) for k, name in enumerate(TRACKS)]
    full = do(new(), *uploads)
    for roles in TASKS:
        named = dict(zip(TRACKS, roles, strict=True))
        targets = tuple(name for name in TRACKS if named[name] == Role.TARGET)
        opened = [Keep(track=t, kept=False) for t in TRACKS if named[t] != Role.CONDITION]
        before = do(full, *opened)
        action = Compose(tracks=targets, seed=1, **STEPS)
        assert plan(before, action).roles(TRACKS) == roles
        after = do(before, action)
        for name, role in named.items():
            take = after.piece.lane(name).current
            if role == Role.TARGET:
                assert take.about.how == 'compose'
                assert take.audio.shape == (N, 2)
                assert np.std(take.audio) > 0
                assert {track for track, _ in take.about.given} == {
                    track for track, its in named.items() if its == Role.CONDITION
                }
            else:
                assert take == before.piece.lane(name).current
                assert take.sound[0].tobytes() == sound(N, 2, seed=TRACKS.index(name)).tobytes()


def test_a_session_makes_what_its_request_makes(do, composer):
    session = do(new(), Compose(seed=3, **STEPS), Keep(track='bass'))
    bass = heard(session, 'bass')
    direct = composer.compose(
        Request(
            prompt='rock in A minor at a brisk 120 bpm',
            targets=('drums', 'instrument', 'melody'),
            given={'bass': bass},
            seconds=SECONDS,
            seed=4,
            num_steps=2,
        )
    )
    after = do(session, Compose(seed=4, **STEPS))
    for name in TRACKS:
        assert heard(after, name).tobytes() == direct.takes[name].audio.tobytes()


def test_the_same_seed_gives_the_same_takes_and_another_gives_others(do):
    one, again, other = (do(new(), Compose(seed=seed, **STEPS)) for seed in (3, 3, 4))
    assert one == again
    assert not {lane.current for lane in one.piece.lanes} & {
        lane.current for lane in other.piece.lanes
    }


@pytest.mark.parametrize('name', TRACKS)
def test_each_lane_is_regenerated_in_spans_varied_and_continued_beside_the_others(do, name):
    session = do(new(), Compose(seed=1, **STEPS))
    spans = ((0.003, 0.006), (0.012, 0.02))
    after = do(session, Regenerate(track=name, spans=spans, seed=2, **STEPS))
    changed = (heard(after, name) != heard(session, name)).any(axis=1)
    inside = np.zeros(N, bool)
    for start_s, end_s in spans:
        inside[round(start_s * 48_000) : round(end_s * 48_000)] = True
    assert changed[inside].mean() > 0.9
    assert not changed[~inside].any()

    fresh = do(session, Regenerate(track=name, seed=2, **STEPS))
    none, some, all_of_it = (
        do(session, Vary(track=name, strength=s, seed=2, **STEPS)) for s in (0.0, 0.4, 1.0)
    )
    was, varied = heard(session, name), heard(some, name)
    assert heard(none, name).tobytes() == was.tobytes()
    assert heard(all_of_it, name).tobytes() == heard(fresh, name).tobytes()
    assert not np.array_equal(varied, was)
    assert not np.array_equal(varied, heard(fresh, name))

    for side in ('end', 'start'):
        longer = do(session, Continue(seconds=0.01, side=side, tracks=(name,), seed=2, **STEPS))
        place, more = (
            (slice(N), slice(N, None)) if side == 'end' else (slice(480, None), slice(480))
        )
        assert heard(longer, name)[place].tobytes() == heard(session, name).tobytes()
        assert heard(longer, name)[more].std() > 0
    for other in set(TRACKS) - {name}:
        for changed_session in (after, fresh, none, some):
            assert heard(changed_session, other).tobytes() == heard(session, other).tobytes()


@pytest.mark.parametrize('side', ['end', 'start'])
@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_any_lanes_go_on_to_either_side(do, side, count):
    session = do(new(), Compose(seed=1, **STEPS))
    for names in itertools.combinations(TRACKS, count):
        action = Continue(seconds=0.01, side=side, tracks=names, seed=2, **STEPS)
        longer = do(session, action)
        more = slice(N, None) if side == 'end' else slice(480)
        assert all(heard(longer, name)[more].any() == (name in names) for name in TRACKS)


def test_a_long_piece_is_made_and_goes_on_by_windows(do, composer):
    window_s = composer.spec.window_frames * composer.spec.hop_samples / 48_000
    session = do(new(4 * window_s), Compose(seed=1, **STEPS))
    longer = do(session, Continue(seconds=2 * window_s, seed=2, **STEPS))
    assert longer.piece.seconds == pytest.approx(6 * window_s)
    for name in TRACKS:
        assert np.array_equal(
            heard(longer, name)[: session.piece.num_samples], heard(session, name)
        )
        assert (np.abs(heard(longer, name)).reshape(6, -1).max(axis=1) > 0).all()


def test_the_papers_loop(do):
    """Compose, keep two, make the others, bring one's own, mend a span, go on, take one back."""
    mine = sound(700, 1)
    session = do(
        new(),
        Compose(seed=1, **STEPS),
        Keep(track='bass'),
        Keep(track='drums'),
        Compose(seed=2, **STEPS),
        Upload(track='melody', audio=mine, rate=44100, name='mine.wav'),
        Compose(tracks=('instrument',), seed=3, **STEPS),
        Regenerate(track='instrument', spans=((0.005, 0.01),), seed=4, **STEPS),
        Continue(seconds=0.01, seed=5, **STEPS),
    )
    said = session_to_json(session)
    hows = [[take['how'] for take in lane['takes']] for lane in said['lanes']]
    assert hows == [
        ['compose', 'continue'],
        ['compose', 'continue'],
        ['compose', 'compose', 'compose', 'regenerate', 'continue'],
        ['compose', 'compose', 'upload', 'continue'],
    ]
    first = said['lanes'][2]['takes'][1]['id']
    session = do(session, Select(track='instrument', take=first))
    assert session.piece.lane('melody').takes[2].sound[0].tobytes() == mine.tobytes()
    pieces = session.pieces
    for piece in reversed(pieces[:-1]):
        session = session.undo()
        assert session.piece == piece


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'tracks': ()}, r'tracks: \[\]; allowed are 1 to 8 different names'),
        ({'tracks': ('a', 'a')}, 'allowed are 1 to 8 different names'),
        ({'tracks': ('../a',)}, 'of letters, digits, _ and -'),
        ({'tracks': ('mix',)}, 'none of them mix'),
        ({'seconds': 1e4}, r'seconds: 10000\.0; allowed are 0.01 to 600'),
        ({'tempo_bpm': -1}, 'tempo_bpm: -1; allowed are 20 to 400'),
        ({'key': 'dark'}, "key: 'dark'; allowed is a tonic and a mode"),
    ],
)
def test_what_no_session_can_be_is_refused(values, said):
    with pytest.raises(BadInput, match=said):
        Session.new(**{'tracks': TRACKS} | values)
    with pytest.raises(BadInput, match="unknown take 'ff'"):
        new().take('ff')
