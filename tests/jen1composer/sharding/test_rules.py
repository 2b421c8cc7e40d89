"""Rules: two logical axes that meet are not on one mesh axis."""

import pytest

from jen1composer.sharding.rules import Rules


@pytest.mark.parametrize(
    ('axes', 'named'),
    [
        ({'channel': 'tensor', 'heads': 'tensor'}, 'channel and heads are both split over tensor'),
        ({'channel': ('fsdp', 'tensor'), 'inner': 'tensor'}, 'channel and inner .* over tensor'),
        ({'batch': 'data', 'frame': 'data'}, 'batch and frame are both split over data'),
        ({'inner': 'fsdp'}, 'batch and inner are both split over fsdp'),
    ],
)
def test_two_axes_on_one_mesh_axis_are_refused_by_name(axes, named):
    with pytest.raises(ValueError, match=f'{named}, and meet in one array'):
        Rules(**axes)


def test_axes_that_never_meet_may_share():
    rules = Rules(channel='fsdp', inner='tensor', heads='tensor')
    assert rules.axes('channel') == ('fsdp',)  # as does the batch, which is of no weight
    assert rules.axes('batch') == ('data', 'fsdp')
    assert rules.axes('norm') == rules.axes(None) == ()
