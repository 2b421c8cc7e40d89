"""Scales: of the prompt alone by default, and what a request says before what its task would be."""

import numpy as np
import pytest

from jen1composer.diffusion.guidance import Branches
from jen1composer.errors import BadInput
from jen1composer.generation.request import Request
from jen1composer.generation.scales import default_scales, make_guidance, scales
from jen1composer.tracks import TRACKS

SOUND = np.zeros((240_000, 2), np.float32)
GIVEN = {'bass': SOUND, 'drums': SOUND}


def test_a_prompt_is_guided_and_nothing_else_unless_it_is_asked_for():
    assert default_scales(True)[0] > 1
    assert default_scales(False) == (1, 1)
    assert default_scales(True)[1] == 1


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
    assert scales(Request(), TRACKS)[0] == 1.0
    assert scales(Request(prompt='rock'), TRACKS)[0] == default_scales(True)[0]


def test_control_has_its_scale_which_is_one_unless_it_is_asked_for():
    assert make_guidance(Request(bpm=90.0), TRACKS).branches == Branches()
    guidance = make_guidance(Request(key='A minor', control_guidance=1.5), TRACKS)
    assert guidance.branches == Branches(control=True)
    np.testing.assert_array_equal(guidance.control, [1.5])


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'text_guidance': 5.0}, r'text_guidance: 5\.0; it needs a prompt'),
        ({'given_guidance': 2.0}, r'given_guidance: 2\.0; no track is given'),
        ({'guidance_interval': (0.2, 1.0)}, r'guidance_interval: \(0\.2, 1\.0\); allowed is'),
        ({'guidance_rescale': 0.7}, r'guidance_rescale: 0\.7; allowed is 0, as all scales'),
        (
            {'prompt': 'rock', 'text_guidance': 1.0, 'guidance_rescale': 0.7},
            r'guidance_rescale: 0\.7; allowed is 0, as all scales',
        ),
    ],
)
def test_what_could_change_nothing_is_refused(values, said):
    with pytest.raises(BadInput, match=said):
        make_guidance(Request(**values), TRACKS)
    told = {'prompt': 'rock', 'given': GIVEN, 'targets': ('melody',)}
    useful = values | told | {'text_guidance': values.get('text_guidance', 2.0) + 1}
    assert make_guidance(Request(**useful), TRACKS).branches.text
