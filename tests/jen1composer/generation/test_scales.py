"""Scales: near 1 where tracks are given, and what a request says before what its task would be."""

import numpy as np
import pytest

from jen1composer.generation.request import Request
from jen1composer.generation.scales import default_scales, scales
from jen1composer.tracks import TRACKS, Role

SOUND = np.zeros((240_000, 2), np.float32)
GIVEN = {'bass': SOUND, 'drums': SOUND}


def test_given_tracks_need_less_guidance_and_no_prompt_none():
    free, beside = (Role.TARGET, Role.TARGET), (Role.TARGET, Role.CONDITION)
    assert 1 < default_scales(beside, True)[0] < default_scales(free, True)[0]
    for roles in (free, beside):
        text, given = default_scales(roles, False)
        assert text == 1
        assert 1 <= given < 1.5


@pytest.mark.parametrize(
    ('asked', 'expected'),
    [
        (None, (1.0, 1.0)),
        (1.4, (1.4, 1.4)),
        ({'drums': 2.0}, (1.0, 2.0)),
        ({'bass': 1.1, 'drums': 0.5}, (1.1, 0.5)),
    ],
)
def test_each_given_track_has_its_scale_and_no_other(asked, expected):
    request = Request(given=GIVEN, targets=('melody',), given_guidance=asked)
    assert scales(request, TRACKS)[1] == (*expected, 1.0, 1.0)


def test_the_prompt_has_its_scale_and_none_where_there_is_none():
    assert scales(Request(prompt='rock', text_guidance=3.0), TRACKS)[0] == 3.0
    assert scales(Request(text_guidance=3.0), TRACKS)[0] == 1.0
    assert scales(Request(prompt='rock'), TRACKS)[0] == default_scales((Role.TARGET,), True)[0]
