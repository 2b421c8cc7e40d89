"""Sections of a config: what is left out is as it always was, what is unknown is refused."""

import json

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import demo, paper_composer
from data_pipeline.kinds import Kinds
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import CosineSchedule, RectifiedFlowSchedule
from jen1composer.diffusion.time_sampling import LogitNormalTimes
from jen1composer.diffusion.weighting import MinSNRWeighting
from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import flat_identity
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


@pytest.mark.parametrize('config', [demo, paper_composer])
@pytest.mark.parametrize('transition', ['stepped', 'linear'])
def test_a_curriculum_is_the_same_read_from_a_checkpoint(config, transition):
    section = config.get_config().curriculum
    section.transition = transition
    saved = json.loads(json.dumps(flat_identity(section)))
    assert isinstance(saved['target_shares'][1], list)
    assert make_curriculum(ConfigDict(saved), 4) == make_curriculum(section, 4)
    assert make_curriculum(section, 4).transition == transition


def test_a_curriculum_without_a_transition_is_stepped():
    section = demo.get_config().curriculum
    del section.transition
    assert make_curriculum(section, 4) == curriculum_of(kinds=(1, 1, 1), p_causal=0.5)


def test_columns_are_numbers_of_targets_and_rows_are_stages():
    curriculum = curriculum_of(stage_steps=(5, 5), target_shares=((1, 0, 0, 0), (2, 1, 1, 4)))
    np.testing.assert_array_equal(curriculum.target_count_weights(4), [1, 0, 0, 0])
    np.testing.assert_array_equal(curriculum.target_count_weights(5), [1 / 4, 1 / 8, 1 / 8, 1 / 2])


@pytest.mark.parametrize('name', ['stage_steps', 'target_shares', 'p_given'])
def test_what_has_no_default_must_be_there(name):
    section = demo.get_config().curriculum
    del section[name]
    with pytest.raises(BadInput, match=f'--config.curriculum: has no {name}, which has no default'):
        make_curriculum(section, 4)


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        (
            {'target_shares': ((1, 0, 0, 0),)},
            r'target_shares=\(\(1, 0, 0, 0\),\); allowed are as many',
        ),
        ({'stage_steps': (800, 1600, 10)}, r'stage_steps=\(800, 1600, 10\), target_shares='),
        ({'target_shares': (1, 4)}, 'curriculum.target_shares: 1; allowed are rows of one share'),
        ({'target_shares': ((1, 0), (1, 3))}, r'target_shares: \(1, 0\); .* 1 to 4'),
        (
            {'target_shares': ((1, 0, 0, 0), (0,) * 4)},
            r'target_shares: \(0, 0, 0, 0\); .* not all 0',
        ),
        ({'target_shares': ((1, 0, 0, 0), (1, 'x', 1, 1))}, 'curriculum.target_shares: '),
        ({'stage_steps': (800, 0)}, 'curriculum.stage_steps: 0; allowed are whole numbers'),
        ({'stage_steps': (), 'target_shares': ()}, r'curriculum.stages: \(\)'),
        ({'stage_steps': (8.5, 1)}, 'curriculum.stage_steps: 8.5'),
        ({'transition': 'smooth'}, "curriculum.transition: 'smooth'; allowed are stepped, linear"),
        ({'max_targets': (1, 4)}, "--config.curriculum: 'max_targets'; allowed are stage_steps"),
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
