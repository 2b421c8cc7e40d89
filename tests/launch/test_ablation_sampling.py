"""The ways to sample, with the law itself, and with a maker of strangers, in the model's place."""

import itertools

import numpy as np
import pytest

from jen1composer.evaluation import synthetic_measures as measures
from jen1composer.evaluation.synthetic_law import SyntheticLaw
from jen1composer.tracks import Role
from launch.ablation_sampling import Ways, all_orders

LAW = SyntheticLaw()


def exact(x, roles, first):
    """The law given what is given: z is read from the given tracks, drawn where there are none."""
    rng = np.random.default_rng(first)
    fresh = LAW.sample(rng, len(x)).x
    given = roles == Role.CONDITION
    told = np.where(given[..., None], LAW.log_posterior(x), 0).sum(1)
    drawn = LAW.read(fresh)[:, 0]
    value = np.where(given.any(1), told.argmax(1), drawn)
    made = LAW.means[np.arange(4), np.tile(value[:, None], 4), 0]
    made = made + LAW.noise * rng.standard_normal(made.shape)
    return np.where((roles == Role.TARGET)[..., None, None], made, x).astype(np.float32)


def strangers(x, roles, first):
    """Tracks that hear nothing of each other."""
    made = LAW.sample_strangers(np.random.default_rng(first), len(x)).x
    return np.where((roles == Role.TARGET)[..., None, None], made, x)


def coherent(x: np.ndarray) -> float:
    return measures.joint_coherence(LAW, x)['all']


def test_with_the_law_itself_no_order_costs_anything():
    ways, orders = Ways(law=LAW, generate=exact), all_orders(4)
    x = ways.in_orders(orders, 8, 0)
    assert len(orders) == 24
    assert x.shape == (192, 4, 16, 4)
    assert coherent(x) > 0.97
    assert measures.coverage(LAW, x) < 0.25


def test_in_an_order_each_track_is_given_those_before_it():
    asked = []

    def listening(x, roles, first):
        asked.append(roles[0].tolist())
        return exact(x, roles, first)

    Ways(law=LAW, generate=listening).in_orders([(2, 0, 3, 1)], 1, 0)
    target, given, marginal = map(int, Role)
    assert asked == [
        [marginal, marginal, target, marginal],
        [target, marginal, given, marginal],
        [given, marginal, given, target],
        [given, target, given, given],
    ]


def test_a_listener_makes_sets_of_strangers_cohere_the_more_the_more_takes():
    ways = Ways(law=LAW, generate=strangers)
    takes = np.stack([ways.one_shot(100, n) for n in range(16)])
    kept = [ways.best_of(takes[:n]) for n in (1, 16)]
    assert np.array_equal(kept[0], takes[0])
    assert np.exp(LAW.agreement(kept[0])).sum() <= np.exp(LAW.agreement(kept[1])).sum()
    loop = [coherent(ways.loop_best_of(n, 40, 0)) for n in (1, 16)]
    assert loop[0] < loop[1]


def test_what_is_kept_in_a_round_is_not_made_again_and_coherence_does_not_fall():
    ways = Ways(law=LAW, generate=strangers)
    x = ways.one_shot(200, 0)
    after = ways.loop_rounds(x, 3, 1)

    def alike(x: np.ndarray) -> np.ndarray:
        read = LAW.read(x)
        return (read[:, :, None] == read[:, None]).sum(-1).max(-1)

    counts = [alike(x), *map(alike, after)]
    assert all((b >= a).all() for a, b in itertools.pairwise(counts))
    assert (after[0] == x).all(axis=(2, 3)).sum(1) == pytest.approx(counts[0])
