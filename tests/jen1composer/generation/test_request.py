"""A request: who is what, and what is refused."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.request import Request
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
    ],
)
def test_values_out_of_range_are_refused(values, said):
    with pytest.raises(BadInput, match=said):
        Request(**values)
