"""Augmentation: a function of (seed, index) that keeps stems in step and never mutes them all."""

import numpy as np
import pytest

from data_pipeline.augmentation import Augmentation
from data_pipeline.headroom import within_full_scale
from jen1composer.errors import BadInput

NUM_TRACKS = 4
DRAWS = 4000
ALL = Augmentation(gain_db=6.0, stem_dropout=0.4, swap_channels=0.5)


def noise(num_samples: int = 8, peak: float = 0.1, seed: int = 0) -> np.ndarray:
    shape = (NUM_TRACKS, num_samples, 2)
    return np.random.default_rng(seed).uniform(-peak, peak, shape).astype(np.float32)


def within_sigmas(found: float, odds: float, draws: int = DRAWS) -> bool:
    return abs(found - odds) <= 4 * np.sqrt(odds * (1 - odds) / draws)


def test_off_is_the_identity():
    stems = noise(peak=0.9)  # whose sum passes full scale: even that is left as it is
    assert Augmentation().apply(stems, 0, 0) is stems


def test_the_same_seed_and_index_give_the_same():
    stems = noise()
    before = stems.copy()
    results = {}
    for seed in (0, 1):
        for index in (0, 1, 2**32 - 1):
            first = ALL.apply(stems, seed, index)
            assert first.dtype == np.float32
            assert first.shape == stems.shape
            np.testing.assert_array_equal(first, ALL.apply(stems, seed, index))
            results[first.tobytes()] = seed, index
    assert len(results) == 6
    np.testing.assert_array_equal(stems, before)


def test_gains_are_uniform_in_db_and_independent_of_one_another():
    stems = noise()
    augmentation = Augmentation(gain_db=6.0)
    gains = np.array([augmentation.apply(stems, 0, i)[:, 0, 0] for i in range(DRAWS)])
    gains_db = 20 * np.log10(gains / stems[:, 0, 0])
    assert np.abs(gains_db).max() <= 6 + 1e-5
    quartiles = np.quantile(gains_db, (0.25, 0.5, 0.75))
    np.testing.assert_allclose(quartiles, (-3, 0, 3), atol=0.25)
    correlation = np.corrcoef(gains_db.T)[~np.eye(NUM_TRACKS, dtype=bool)]
    assert np.abs(correlation).max() < 4 / np.sqrt(DRAWS)


@pytest.mark.parametrize('odds', [0.1, 0.5, 1.0])
def test_tracks_fall_silent_as_often_as_asked_but_never_all(odds):
    stems = noise()
    augmentation = Augmentation(stem_dropout=odds)
    sounds = np.array([augmentation.apply(stems, 0, i).any((1, 2)) for i in range(DRAWS)])
    assert sounds.any(axis=1).all()
    expected = odds - odds**NUM_TRACKS / NUM_TRACKS  # (2) of the module
    for track in range(NUM_TRACKS):
        assert within_sigmas(1 - sounds[:, track].mean(), expected)


def test_what_is_spared_sounds():
    stems = noise()
    stems[:3] = 0
    for index in range(50):
        kept = Augmentation(stem_dropout=1.0).apply(stems, 0, index)
        np.testing.assert_array_equal(kept, stems)
    assert not Augmentation(stem_dropout=1.0).apply(np.zeros_like(stems), 0, 0).any()


def test_channels_change_places_in_all_tracks_or_in_none():
    stems = noise()
    augmentation = Augmentation(swap_channels=0.3)
    swapped = 0
    for index in range(DRAWS):
        found = augmentation.apply(stems, 0, index)
        mirrored = np.array_equal(found, stems[:, :, ::-1])
        assert mirrored or np.array_equal(found, stems)
        swapped += mirrored
    assert within_sigmas(swapped / DRAWS, 0.3)


def test_an_option_draws_the_same_beside_others():
    stems = noise()
    for index in range(50):
        alone = Augmentation(gain_db=6.0).apply(stems, 3, index)
        both = Augmentation(gain_db=6.0, stem_dropout=0.5).apply(stems, 3, index)
        silent = ~both.any((1, 2))
        np.testing.assert_array_equal(both[~silent], alone[~silent])


def test_the_mix_is_the_sum_and_nothing_moves():
    """Every stem comes back as one factor times itself, so the mix is that mixture of them."""
    stems = noise(num_samples=1000)
    for index in range(20):
        found = Augmentation(gain_db=12.0, stem_dropout=0.3).apply(stems, 0, index)
        factors = (found * stems).sum((1, 2)) / np.square(stems).sum((1, 2))
        np.testing.assert_allclose(found, factors[:, None, None] * stems, atol=1e-7)
        mix = np.einsum('k,ksc->sc', factors, stems)
        np.testing.assert_allclose(found.sum(0), mix, atol=1e-6)


def test_what_would_clip_is_quieter_by_one_gain():
    stems = noise(num_samples=1000, peak=1.0)
    for index in range(20):
        found = Augmentation(gain_db=12.0).apply(stems, 0, index)
        assert 0.99 < max(np.abs(found).max(), np.abs(found.sum(0)).max()) <= 1
        gains_db = 20 * np.log10(found[:, 0, 0] / stems[:, 0, 0])
        quiet = Augmentation(gain_db=12.0).apply(stems / 64, 0, index)
        wanted_db = 20 * np.log10(quiet[:, 0, 0] / stems[:, 0, 0])
        np.testing.assert_allclose(np.diff(gains_db), np.diff(wanted_db), atol=1e-3)


def test_stems_that_fit_are_not_touched():
    stems = noise()
    assert within_full_scale(stems) is stems
    assert within_full_scale(stems[:, :0]).size == 0
    half = np.full((2, 3, 2), 0.5, np.float32)
    assert within_full_scale(half) is half  # the sum is full scale itself
    loud = within_full_scale(half * np.float32(1.5))
    assert 0.9999 < loud.sum(0).max() <= 1


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'gain_db': -1.0}, 'augment.gain_db: -1.0; allowed is 0 to 24'),
        ({'gain_db': 30.0}, 'augment.gain_db: 30.0; allowed is 0 to 24'),
        ({'stem_dropout': 1.5}, 'augment.stem_dropout: 1.5; allowed is 0 to 1'),
        ({'swap_channels': float('nan')}, 'augment.swap_channels: nan; allowed is 0 to 1'),
    ],
)
def test_values_out_of_range_are_refused(changes, said):
    with pytest.raises(BadInput) as refused:
        Augmentation(**changes)
    assert str(refused.value) == said
