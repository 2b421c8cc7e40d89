"""The law against sums that are done another way, and against its own samples."""

import dataclasses

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.evaluation.synthetic_law import SyntheticLaw

LAW = SyntheticLaw()
NOISY = SyntheticLaw(noise=0.97)  # readings are wrong now and then


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_channels_are_white_on_average():
    """Variance s^2 + sigma^2 = 1 about a mean that vanishes where all values are alike likely."""
    even = SyntheticLaw(keys=(0.2,) * 5, tempos=(1 / 3,) * 3, patterns=(0.25,) * 4)
    mean = even.means.mean(axis=(1, 2, 3))  # [track, channel]
    power = (even.means**2).mean(axis=(1, 2, 3)) + even.noise**2
    assert mean == pytest.approx(np.zeros_like(mean), abs=1e-12)
    assert power == pytest.approx(np.ones_like(power))


def test_odds_add_up_and_every_value_sounds_different():
    assert LAW.odds.sum() == pytest.approx(1)
    for means in LAW.means:
        flat = means.reshape(-1, means.shape[-1] * means.shape[-2])
        assert len(np.unique(flat.round(9), axis=0)) == len(flat)


def test_the_posterior_is_bayes_by_hand():
    x = NOISY.sample(rng(), 3).x
    found = np.exp(NOISY.log_posterior(x))
    for i, k in ((0, 0), (1, 2), (2, 3)):
        joint = []
        for value, prior in enumerate(NOISY.odds):
            errors = [((x[i, k] - mean) ** 2).sum() for mean in NOISY.means[k, value]]
            joint.append(prior * np.mean(np.exp(-np.array(errors) / 2 / NOISY.noise**2)))
        assert found[i, k] == pytest.approx(np.array(joint) / sum(joint), rel=1e-6)


def test_the_posterior_is_calibrated():
    """Of what is read with confidence p, a share p is right."""
    sets = NOISY.sample(rng(), 4000)
    posterior = np.exp(NOISY.log_posterior(sets.x))
    right = (NOISY.values[posterior.argmax(-1)] == sets.z[:, None]).all(-1)
    assert right.mean() == pytest.approx(posterior.max(-1).mean(), abs=0.02)
    assert right.mean() < 0.95


def test_agreement_is_the_chance_that_draws_from_each_posterior_are_the_same():
    x = NOISY.sample(rng(), 4).x
    posterior = np.exp(NOISY.log_posterior(x))
    draws = rng(1).random((4, 4, 20_000, 1)) > np.cumsum(posterior, -1)[:, :, None]
    values = draws.sum(-1)  # [set, track, draw]
    alike = (values == values[:, :1]).all(axis=1).mean(-1)
    assert np.exp(NOISY.agreement(x)) == pytest.approx(alike, abs=0.02)


def test_agreement_tells_sets_from_strangers_and_prefers_no_value():
    sets, strangers = LAW.sample(rng(), 500), LAW.sample_strangers(rng(1), 500)
    assert np.exp(LAW.agreement(sets.x)).mean() > 0.99
    assert np.exp(LAW.agreement(strangers.x)).mean() < 0.01
    rare = LAW.odds[LAW.read(sets.x)[:, 0]] < np.median(LAW.odds)
    agreement = np.exp(LAW.agreement(sets.x))
    assert agreement[rare].mean() == pytest.approx(agreement[~rare].mean(), abs=0.01)


def test_agreement_ignores_tracks_that_are_not_there():
    x = NOISY.sample(rng(), 5).x
    alone = np.where(np.arange(4)[:, None, None] == 1, x, np.nan)
    assert NOISY.agreement(alone) == pytest.approx(np.zeros(5), abs=1e-9)
    two = np.where(np.arange(4)[:, None, None] < 2, x, np.nan)
    pair = dataclasses.replace(NOISY, num_tracks=2)
    assert NOISY.agreement(two) == pytest.approx(pair.agreement(x[:, :2]))


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'noise': 1.0}, 'law.noise'),
        ({'keys': (0.5, 0.6)}, 'law.keys'),
        ({'patterns': (0.5, 0.5)}, 'law.patterns'),
        ({'num_frames': 12}, 'law.num_frames'),
        ({'num_tracks': 0}, 'law.num_tracks'),
    ],
)
def test_what_is_no_law_is_refused(changes, said):
    with pytest.raises(BadInput, match=said):
        SyntheticLaw(**changes)
