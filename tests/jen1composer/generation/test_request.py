"""A request: who is what, and what is refused."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.request import Edit, Request
from jen1composer.tracks import TRACKS, Role

SOUND = np.zeros((48_000, 2), np.float32)
T, C, M = Role.TARGET, Role.CONDITION, Role.MARGINAL


@pytest.mark.parametrize(
    ('request_', 'roles'),
    [
        (Request(), (T, T, T, T)),
        (Request(targets=('drums',)), (M, T, M, M)),
        (Request(given={'bass': SOUND}), (C, T, T, T)),
        (Request(given={'bass': SOUND}, targets=('melody',)), (C, M, M, T)),
        (Request(marginal=('bass', 'melody')), (M, T, T, M)),
        (Request(edits={'bass': Edit(audio=SOUND)}), (T, M, M, M)),
        (Request(edits={'bass': Edit(audio=SOUND)}, targets=('drums',)), (T, T, M, M)),
        (Request(targets=('bass',), given={'drums': SOUND}, marginal=('melody',)), (T, C, M, M)),
    ],
)
def test_who_is_not_mentioned_is_a_target_only_if_none_is_named(request_, roles):
    assert request_.roles(TRACKS) == roles


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'targets': ('guitar',)}, "unknown track 'guitar'; allowed are bass, drums"),
        ({'targets': ('bass',), 'given': {'bass': SOUND}}, "'bass': is a target and a condition"),
        (
            {'edits': {'bass': Edit(audio=SOUND)}, 'given': {'bass': SOUND}},
            "'bass': is a target and a condition",
        ),
        ({'given': dict.fromkeys(TRACKS, SOUND)}, 'no track is left to generate'),
    ],
)
def test_roles_that_cannot_be_are_refused(values, said):
    with pytest.raises(BadInput, match=said):
        Request(**values).roles(TRACKS)


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'seconds': 0.0}, r'seconds: 0\.0; allowed are 0\.01 to 60'),
        ({'seconds': 1e6}, 'seconds: 1000000.0'),
        ({'num_steps': 0}, 'steps: 0'),
        ({'seed': -1}, 'seed: -1'),
        ({'prompt': b'caf\xe9'.decode('utf-8', 'surrogateescape')}, 'allowed is text in UTF-8'),
        ({'text_guidance': float('nan')}, 'text_guidance: nan'),
        ({'given_guidance': float('inf')}, 'given_guidance: inf'),
        ({'given_guidance': -1e30}, r'given_guidance: -1e\+30; allowed are -100 to 100'),
        (
            {'given': {'bass': SOUND}, 'given_guidance': {'bass': float('nan')}},
            "given_guidance of 'bass': nan",
        ),
        ({'given_guidance': {'bass': 2.0}}, "given_guidance: 'bass' is not given"),
        ({'bpm': 5.0}, r'bpm: 5\.0; allowed are 20 to 400'),
        ({'bpm': float('nan')}, 'bpm: nan'),
        ({'key': 'A dorian'}, "key: 'A dorian'; allowed are a tonic"),
        ({'chords': 'Am X', 'bpm': 90.0}, "chords: 'X'; allowed are a root"),
        ({'chords': 'Am F'}, "chords: 'Am F'; they last beats, so a bpm is needed too"),
        ({'control_guidance': 2.0}, r'control_guidance: 2\.0; it needs a bpm, a key or chords'),
        ({'bpm': 90.0, 'control_guidance': 1e9}, 'control_guidance: 1000000000.0; allowed are'),
        ({'guidance_interval': (0.6, 0.4)}, r'guidance_interval: \(0\.6, 0\.4\)'),
        ({'guidance_rescale': 1.5}, r'guidance_rescale: 1\.5; allowed is 0 to 1'),
        ({'strength': -0.1}, r'strength: -0\.1; allowed is 0 to 1'),
        (
            {'given': {'bass': SOUND[:, 0]}},
            r"given 'bass': shape \(48000,\); allowed is \[sample, 2",
        ),
        ({'given': {'bass': SOUND * np.nan}}, "given 'bass': holds samples that are not finite"),
        ({'edits': {'bass': Edit(audio=SOUND[:0])}}, r"edit 'bass': shape \(0, 2\)"),
        ({'edits': {'bass': Edit(audio=SOUND, start_s=5.0)}}, r"edit 'bass': start_s: 5\.0"),
        (
            {'edits': {'bass': Edit(audio=SOUND, regenerate=((2.0, 1.0),))}},
            r"edit 'bass': regenerate: \(2\.0, 1\.0\); allowed are start, end in seconds, rising",
        ),
        ({'edits': {'bass': Edit(audio=SOUND, regenerate=((2.0, 6.0),))}}, r'\(2\.0, 6\.0\)'),
    ],
)
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(BadInput, match=said):
        Request(**values)
