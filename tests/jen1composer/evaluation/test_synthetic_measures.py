"""Measures of the truth, of strangers, and of one set made again and again."""

import numpy as np
import pytest

from jen1composer.evaluation import synthetic_measures as measures
from jen1composer.evaluation.synthetic_law import SyntheticLaw

LAW = SyntheticLaw()
TRUE = LAW.sample(np.random.default_rng(0), 800)
STRANGERS = LAW.sample_strangers(np.random.default_rng(1), 800)


def test_true_sets_cohere_and_strangers_by_chance_alone():
    assert measures.joint_coherence(LAW, TRUE.x)['all'] > 0.99
    found = measures.joint_coherence(LAW, STRANGERS.x)
    for name, odds in (('key', LAW.keys), ('tempo', LAW.tempos), ('pattern', LAW.patterns)):
        assert found[name] == pytest.approx(sum(p**4 for p in odds), abs=0.03)


def test_what_is_given_is_agreed_with_where_it_counts():
    generated = np.tile([False, True, True, True], (800, 1))
    assert measures.conditional_coherence(LAW, TRUE.x, TRUE.z, generated)['all'] > 0.99
    found = measures.conditional_coherence(LAW, STRANGERS.x, STRANGERS.z, generated)
    assert found['all'] == pytest.approx((LAW.odds**2).sum(), abs=0.02)
    first = ~generated
    assert measures.conditional_coherence(LAW, STRANGERS.x, STRANGERS.z, first)['all'] > 0.99


def test_one_set_again_and_again_coheres_and_covers_nothing():
    same = np.tile(TRUE.x[:1], (800, 1, 1, 1))
    assert measures.joint_coherence(LAW, same)['all'] == 1
    value = LAW.read(TRUE.x[:1])[0, 0]
    assert measures.coverage(LAW, same) == pytest.approx(1 - LAW.odds[value])
    assert measures.coverage(LAW, TRUE.x) < 0.15


def test_the_energy_distance_of_points_is_known():
    x, y = np.array([[0.0], [2.0]]), np.array([[5.0], [5.0]])
    assert measures.energy_distance(x, y) == 2 * 4 - 2 - 0


def test_the_energy_distance_vanishes_for_the_law_and_sees_strangers_and_blur():
    truth = LAW.sample(np.random.default_rng(2), 800).x
    true = measures.energy_distance(TRUE.x, truth)
    assert abs(true) < 0.06
    assert measures.energy_distance(STRANGERS.x, truth) > 0.1
    assert measures.energy_distance(0.8 * TRUE.x, truth) > 0.1
