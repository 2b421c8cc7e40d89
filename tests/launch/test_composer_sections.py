"""Sections of a config: what is left out is as it always was, what is unknown is refused."""

import pytest
from ml_collections import ConfigDict

from configs import demo
from data_pipeline.kinds import Kinds
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import CosineSchedule, RectifiedFlowSchedule
from jen1composer.diffusion.time_sampling import LogitNormalTimes
from jen1composer.diffusion.weighting import MinSNRWeighting
from jen1composer.errors import BadInput
from jen1composer.training.composer_step import DiffusionConfig
from launch.composer_sections import make_curriculum, make_diffusion


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


def diffusion_of(**changes):
    return make_diffusion(ConfigDict(demo.get_config().diffusion.to_dict() | changes))


def test_a_diffusion_of_an_earlier_config_is_what_it_was():
    assert make_diffusion(
        ConfigDict({'prediction': 'v', 'prompt_dropout': 0.2})
    ) == DiffusionConfig(prediction=Prediction.V, schedule=CosineSchedule(), prompt_dropout=0.2)


def test_every_part_of_a_diffusion_is_chosen_by_name():
    found = diffusion_of(
        prediction='velocity',
        schedule='rectified_flow',
        time_sampling='logit_normal',
        weighting={'name': 'min_snr', 'gamma': 3.0},
    )
    assert found.prediction is Prediction.VELOCITY
    assert found.schedule == RectifiedFlowSchedule()
    assert found.time_sampling == LogitNormalTimes()
    assert found.weighting == MinSNRWeighting(gamma=3.0)


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'schedule': 'sine'}, "schedule: 'sine'; allowed are cosine"),
        ({'weighting': {'name': 'min_snr', 'gama': 5}}, "weighting min_snr: 'gama'"),
        ({'weighting': {'gamma': 5}}, "weighting: ''; allowed are uniform"),
        ({'prompt_dropuot': 0.2}, "--config.diffusion: 'prompt_dropuot'"),
    ],
)
def test_bad_parts_of_a_diffusion_are_refused_in_one_line(settings, said):
    with pytest.raises(BadInput, match=said) as refused:
        diffusion_of(**settings)
    assert '\n' not in str(refused.value)
