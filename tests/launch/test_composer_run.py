"""The curriculum of a config: what is left out is as it always was, what is unknown is refused."""

import pytest

from configs import demo
from data_pipeline.kinds import Kinds
from jen1composer.errors import BadInput
from launch.composer_run import make_curriculum


def curriculum_of(**kinds):
    config = demo.get_config().curriculum
    for name in ('kinds', 'p_causal', 'shared_span', 'min_span', 'max_span'):
        if name in config:
            del config[name]
    config.update(kinds)
    return make_curriculum(config, 4)


def test_a_config_without_kinds_has_text_alone():
    assert curriculum_of().kinds == Kinds()


def test_kinds_are_read_from_a_config_and_as_a_checkpoint_holds_them():
    rest = {'p_causal': 0.5, 'shared_span': 0.1, 'min_span': 0.3, 'max_span': 0.6}
    for shares in ((1, 1, 2), [1, 1, 2]):
        assert curriculum_of(kinds=shares, **rest).kinds == Kinds(shares=(1, 1, 2), **rest)


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'kinds': (1, 1)}, r'curriculum.kinds: \(1, 1\); allowed are shares of text'),
        ({'kinds': 1.0}, 'curriculum.kinds: 1.0'),
        ({'min_span': 0.9}, 'curriculum.min_span: 0.9'),
        ({'p_casual': 0.5}, "--config.curriculum: 'p_casual'; allowed are .*p_causal"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, said):
    with pytest.raises(BadInput, match=said) as refused:
        curriculum_of(**settings)
    assert '\n' not in str(refused.value)
