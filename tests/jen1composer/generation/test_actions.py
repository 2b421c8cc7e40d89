"""Actions as JSON: there and back, and what no action is."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.errors import BadInput
from jen1composer.generation.actions import (
    ACTIONS,
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
    Upload,
    Vary,
    action_from_json,
    action_to_json,
)
from jen1composer.generation.words import words

SOUND = np.zeros((10, 1), np.float32)
TRACK = st.sampled_from(['bass', 'drums', 'any'])
ASKED = {
    'seed': st.integers(0, 2**31 - 1),
    'steps': st.integers(1, 1000),
    'guidance': st.none() | st.floats(-10, 10),
    'given_guidance': st.none() | st.floats(-10, 10),
    'sampler': st.sampled_from(['dpmpp_2m', 'ddim']),
}
SPAN = st.tuples(st.floats(0, 9), st.floats(9.5, 20))
ANY = st.one_of(
    st.builds(Compose, **ASKED, tracks=st.lists(TRACK).map(tuple), strength=st.floats(0, 1)),
    st.builds(Regenerate, **ASKED, track=TRACK, spans=st.lists(SPAN).map(tuple)),
    st.builds(
        Continue,
        **ASKED,
        seconds=st.floats(0.1, 50),
        side=st.sampled_from(['end', 'start']),
        tracks=st.lists(TRACK).map(tuple),
    ),
    st.builds(Vary, **ASKED, track=TRACK, strength=st.floats(0, 1)),
    st.builds(Upload, track=TRACK, audio=st.just(SOUND), rate=st.integers(4000, 384000)),
    st.builds(Keep, track=TRACK, kept=st.booleans()),
    st.builds(Select, track=TRACK, take=st.text()),
    st.builds(
        Mix,
        track=TRACK,
        gain_db=st.none() | st.floats(-100, 20),
        muted=st.none() | st.booleans(),
        solo=st.none() | st.booleans(),
    ),
    st.builds(
        Set,
        prompt=st.none() | st.text(),
        tempo_bpm=st.none() | st.just(0) | st.floats(20, 400),
        key=st.none() | st.sampled_from(['', 'A minor', 'Bb major']),
        seconds=st.none() | st.floats(0.01, 600),
    ),
    st.builds(Undo),
    st.builds(Redo),
    st.builds(Forget),
)


@settings(max_examples=300, deadline=None)
@given(action=ANY)
def test_an_action_comes_back_from_its_json(action):
    value = json.loads(json.dumps(action_to_json(action)))
    assert action_from_json(value, SOUND) == action
    assert ACTIONS[value['do']] is type(action)


def test_fields_with_a_default_may_be_left_out():
    assert action_from_json({'do': 'compose'}) == Compose()
    assert action_from_json({'do': 'continue', 'seconds': 5}) == Continue(seconds=5.0)
    spans = action_from_json({'do': 'regenerate', 'track': 'bass', 'spans': [[1, 2.5]]}).spans
    assert spans == ((1.0, 2.5),)


@pytest.mark.parametrize(
    ('value', 'said'),
    [
        ([], 'action: []; allowed is an object'),
        ({}, 'do: None; allowed are compose, regenerate, continue'),
        ({'do': ['compose']}, "do: ['compose']; allowed are compose"),
        ({'do': 'compose', 'sede': 3}, 'sede: compose has no such field; allowed are seed'),
        ({'do': 'keep'}, 'track: is missing; keep needs it'),
        ({'do': 'keep', 'track': 3}, 'track: 3; allowed is text'),
        ({'do': 'keep', 'track': 'bass', 'kept': 1}, 'kept: 1; allowed is true, false'),
        ({'do': 'compose', 'seed': True}, 'seed: True; allowed is a whole number'),
        ({'do': 'compose', 'seed': 1.5}, 'seed: 1.5; allowed is a whole number'),
        ({'do': 'compose', 'seed': None}, 'seed: None; allowed is a whole number'),
        ({'do': 'compose', 'seed': -1}, 'seed: -1; allowed are 0 to'),
        ({'do': 'compose', 'steps': 0}, 'steps: 0; allowed is 1 or more'),
        ({'do': 'compose', 'tracks': 'bass'}, "tracks: 'bass'; allowed is a list"),
        ({'do': 'compose', 'guidance': math.nan}, 'guidance: nan; allowed is a number'),
        ({'do': 'compose', 'strength': 10**400}, 'allowed is a number'),
        ({'do': 'compose', 'strength': 2}, 'strength: 2.0; allowed is 0 to 1'),
        ({'do': 'continue', 'seconds': 0}, 'seconds: 0.0; allowed are more than 0'),
        ({'do': 'continue', 'seconds': 1e300}, 'seconds: 1e+300; allowed are'),
        ({'do': 'continue', 'seconds': 1, 'side': 'up'}, "side: 'up'; allowed are end, start"),
        ({'do': 'regenerate', 'track': 'bass', 'spans': [[1]]}, 'spans: [1]; allowed is [from'),
        ({'do': 'regenerate', 'track': 'bass', 'spans': [[2, 1]]}, 'spans: [2.0, 1.0]; allowed'),
        ({'do': 'vary', 'track': 'bass', 'strength': -1}, 'strength: -1.0; allowed is 0 to 1'),
        ({'do': 'mix', 'track': 'bass', 'gain_db': 99}, 'gain_db: 99.0; allowed are -120 to 24'),
        ({'do': 'set', 'tempo_bpm': 5}, 'tempo_bpm: 5.0; allowed are 20 to 400'),
        ({'do': 'set', 'key': 'H dur'}, "key: 'H dur'; allowed is a tonic and a mode"),
        ({'do': 'set', 'prompt': '\ud800'}, 'allowed is text in UTF-8'),
        ({'do': 'set', 'seconds': 0}, 'seconds: 0.0; allowed are 0.01 to 600'),
        ({'do': 'upload', 'track': 'bass'}, 'audio: is missing'),
    ],
)
def test_what_is_no_action_is_refused_by_the_name_of_the_field(value, said):
    with pytest.raises(BadInput) as refused:
        action_from_json(value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ('told', 'said'),
    [
        (('', None, None), ''),
        (('dark rock', None, None), 'dark rock'),
        (('dark rock', 120, 'A minor'), 'dark rock in A minor at a brisk 120 bpm'),
        (('', 69.6, 'A# minor'), 'music in Bb minor at a slow 70 bpm'),
        (('calm', 400, None), 'calm at a fast 400 bpm'),
    ],
)
def test_tempo_and_key_are_said_as_in_training(told, said):
    assert words(*told) == said
