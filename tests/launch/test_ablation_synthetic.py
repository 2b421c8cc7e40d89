"""Batches of the synthetic subject: functions of (seed, step), and what their text tells."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import ablation_synthetic
from data_pipeline.curriculum import Curriculum, Stage
from jen1composer.errors import BadInput
from jen1composer.evaluation.synthetic_law import SyntheticLaw
from jen1composer.tracks import TRACKS, Role
from jen1composer.training.state import parameter_count
from launch.ablation_grid import make_cells
from launch.ablation_model import cell_curriculum
from launch.ablation_synthetic import SyntheticBatches, Words, make_law
from launch.ablation_synthetic_run import SyntheticSubject, sampled_rows, track_names

LAW = SyntheticLaw()
BATCHES = SyntheticBatches(
    law=LAW,
    curriculum=Curriculum(num_tracks=4, stages=(Stage(steps=10, shares=(1.0, 1.0, 1.0, 1.0)),)),
    batch=64,
    seed=1,
    p_prompt=0.5,
)
CELLS = {cell.variant: cell for cell in make_cells(ablation_synthetic.get_config())[:10]}


def test_a_run_that_goes_on_gets_the_batches_it_would_have_had():
    whole, later = list(BATCHES(0)), list(BATCHES(7))
    assert len(whole) == 10
    for one, other in zip(whole[7:], later, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_no_two_examples_of_two_seeds_share_their_noise():
    other = dataclasses.replace(BATCHES, seed=2)
    indices = [batch.index for of in (BATCHES, other) for batch in of(0)]
    assert len(np.unique(np.concatenate(indices))) == 2 * 10 * 64
    assert not np.array_equal(BATCHES.at(0).latents, other.at(0).latents)


def test_the_prompt_tells_the_key_and_the_prefix_the_targets():
    batch, words = BATCHES.at(3), Words.of(LAW)
    keys = LAW.values[LAW.read(batch.latents)][:, 0, 0]
    np.testing.assert_array_equal(batch.text.prompt[:, 0], words.keys[keys])
    np.testing.assert_array_equal(batch.text.prefix_mask, batch.task.roles == Role.TARGET)
    assert 0.2 < batch.text.use_prompt.mean() < 0.8


def test_too_many_examples_for_their_indices_are_refused():
    with pytest.raises(BadInput, match='examples: 16777280; allowed are below 16777216'):
        dataclasses.replace(BATCHES, batch=(1 << 24) // 10 + 7)
    with pytest.raises(BadInput, match='seeds: 256'):
        dataclasses.replace(BATCHES, seed=256)


def test_a_key_that_the_law_does_not_have_is_refused():
    with pytest.raises(BadInput, match=r"--config\.law: 'tracks'; allowed are num_tracks"):
        make_law(ConfigDict({'tracks': 3}))


def test_a_model_of_one_time_is_trained_with_all_tracks_as_targets():
    curriculum = cell_curriculum(CELLS['shared_time'].config, 4)
    base = cell_curriculum(CELLS['base'].config, 4)
    assert curriculum.total_steps == base.total_steps
    for step in (0, 300, 1400):
        assert curriculum.target_count_weights(step).tolist() == [0, 0, 0, 1]
    assert base.target_count_weights(0).tolist() == [1, 0, 0, 0]


def test_separate_models_have_together_as_many_parameters_as_the_joint_one():
    subject, sizes = SyntheticSubject(), {}
    for name in ('base', 'separate'):
        run = subject.run(CELLS[name].config, 0)
        sizes[name] = parameter_count(jax.eval_shape(run.recipe.init_params))
    assert sizes['separate'] == pytest.approx(sizes['base'], rel=0.05)


def test_separate_models_with_the_prefix_of_the_joint_task_are_refused():
    config = CELLS['separate'].config.copy_and_resolve_references()
    config.model.use_prefix = True
    with pytest.raises(BadInput, match='use_prefix: True'):
        SyntheticSubject().run(config, 0)


@pytest.mark.parametrize('num_tracks', [2, 4, 5])
def test_every_track_and_every_order_of_a_law_has_a_row_of_its_own(num_tracks):
    law = SyntheticLaw(num_tracks=num_tracks)

    def generate(x, roles, first):
        return law.sample(np.random.default_rng(first), len(x)).x

    rows = sampled_rows(law, generate, law.sample(np.random.default_rng(0), 32).x, 32)
    names = track_names(num_tracks)
    assert names == (*TRACKS, 'track 5')[:num_tracks]
    assert {f'track after track, {name} first' for name in names} <= set(rows)
    orders = {f'order {" > ".join(order)}' for order in itertools.permutations(names)}
    assert {name for name in rows if name.startswith('order ')} == orders


def test_anchors_bracket_what_can_be_reached():
    config = CELLS['base'].config.copy_and_resolve_references()
    config.measure.sets = 400
    found = SyntheticSubject().anchors(config)
    true, strangers = found['true sets'], found['true tracks of different sets']
    assert true['joint_all'] > 0.99 > 0.05 > strangers['joint_all']
    assert true['conditional_all'] > 0.99
    assert true['energy'] < strangers['energy']
