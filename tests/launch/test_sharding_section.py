"""What a config says of devices: a layout, or one line that names the key."""

import pytest
from ml_collections import ConfigDict

from launch.sharding_section import make_accumulate, make_layout


def test_a_strategy_has_its_own_mesh_or_the_one_that_is_named():
    assert dict(make_layout(ConfigDict({'strategy': 'tp'})).mesh.shape)['tensor'] == 4
    config = ConfigDict({'strategy': 'tp', 'mesh': 'data=4,tensor=2'})
    assert dict(make_layout(config).mesh.shape)['tensor'] == 2


@pytest.mark.parametrize(
    ('config', 'said'),
    [
        ({'strategy': 'both'}, "sharding.strategy: 'both'; allowed are dp, fsdp, tp"),
        ({'strategy': 'dp', 'mesh': 'data=3'}, 'sharding.mesh: data=3; allowed'),
        ({'strategy': 'dp', 'fsdp': 2}, '--config.sharding: .fsdp.; allowed are strategy, mesh'),
        ({'strategy': 'sp', 'mesh': 'tensor=4,sequence=2'}, 'tensor=4 beside sequence=2'),
    ],
)
def test_what_makes_no_layout_is_refused(config, said):
    with pytest.raises(ValueError, match=said):
        make_layout(ConfigDict(config))


def test_a_batch_is_one_part_unless_more_are_asked_for():
    assert make_accumulate(ConfigDict()) == 1
    assert make_accumulate(ConfigDict({'accumulate': 4})) == 4
    with pytest.raises(ValueError, match=r'--config.accumulate: 0; allowed'):
        make_accumulate(ConfigDict({'accumulate': 0}))
