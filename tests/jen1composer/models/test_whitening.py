"""Whitening: white on what it was fitted on, and undone exactly."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.models.whitening import LatentStatistics, fit, whiteness

CHANNELS = 6


def latents(count: int = 5000, seed: int = 0) -> np.ndarray:
    """Correlated, off centre, with scales from 0.01 to 10."""
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((CHANNELS, CHANNELS)) * np.geomspace(0.01, 10, CHANNELS)
    return (random.standard_normal((count, CHANNELS)) @ mixing.T + 3).astype(np.float32)


def test_the_fitted_latents_become_white():
    z = latents()
    white = np.asarray(fit(LatentStatistics.of(z)).apply(z))
    np.testing.assert_allclose(white.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(white.T), np.eye(CHANNELS), atol=0.02)


def test_invert_undoes_apply():
    z = latents()
    whitening = fit(LatentStatistics.of(z))
    scale = np.abs(z).max()
    np.testing.assert_allclose(
        np.asarray(whitening.invert(whitening.apply(z))) / scale, z / scale, atol=1e-5
    )


def test_invert_undoes_apply_where_a_channel_never_moves():
    z = latents()
    z[:, 2] = 7
    whitening = fit(LatentStatistics.of(z))
    assert np.isfinite(whitening.whiten).all()
    np.testing.assert_allclose(whitening.invert(whitening.apply(z)), z, atol=2e-4)
    assert np.asarray(whitening.apply(z)).std(0).min() < 0.1  # it is not blown up


def test_statistics_of_the_parts_add_up_to_those_of_the_whole():
    z = latents(999)
    parts = LatentStatistics.of(z[:100]) + LatentStatistics.of(z[100:].reshape(29, 31, CHANNELS))
    whole = LatentStatistics.of(z)
    assert parts.count == whole.count == 999
    np.testing.assert_allclose(parts.total, whole.total, rtol=1e-12)
    np.testing.assert_allclose(parts.second, whole.second, rtol=1e-12)


def test_a_sum_of_many_far_from_zero_keeps_its_variance():
    # In float32, z^2 - mean^2 at an offset of 1000 would have nothing left of a variance of 1e-4.
    z = 1000 + 0.01 * np.random.default_rng(0).standard_normal((4000, 2))
    whitening = fit(LatentStatistics.of(z))
    variances = np.sort(np.square(whitening.unwhiten).sum(1))
    np.testing.assert_allclose(variances, np.linalg.eigvalsh(np.cov(z.T)), rtol=0.01)


def test_too_few_frames_are_refused():
    with pytest.raises(BadInput, match='6 latent frames; allowed are more than 6'):
        fit(LatentStatistics.of(latents(CHANNELS)))


@pytest.mark.parametrize('keep', [1, 4, CHANNELS])
def test_a_cut_keeps_the_largest_variances_and_projects(keep):
    z = latents().astype(np.float64)
    statistics = LatentStatistics.of(z)
    whitening = fit(statistics, keep)
    white = np.asarray(whitening.apply(z))
    assert white.shape == (len(z), keep) == (len(z), whitening.kept)
    np.testing.assert_allclose(np.cov(white.T).reshape(keep, keep), np.eye(keep), atol=0.02)
    np.testing.assert_array_equal(whitening.whiten, fit(statistics).whiten[:, :keep])

    projection = np.asarray(whitening.whiten @ whitening.unwhiten)
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-5)
    np.testing.assert_allclose(projection, projection.T, atol=1e-5)
    np.testing.assert_allclose(np.trace(projection), keep, rtol=1e-5)

    lost = np.square(z - np.asarray(whitening.invert(white))).sum(1).mean()
    dropped = np.linalg.eigvalsh(np.cov(z.T))[: CHANNELS - keep].sum()
    np.testing.assert_allclose(lost, dropped, rtol=1e-3, atol=1e-8 * np.square(z).sum(1).mean())


@pytest.mark.parametrize('keep', [-1, CHANNELS + 1])
def test_a_cut_to_what_is_not_there_is_refused(keep):
    with pytest.raises(BadInput, match=f'whitening_channels: {keep}; allowed is 1 to 6, or 0'):
        fit(LatentStatistics.of(latents()), keep)


@pytest.mark.parametrize('keep', [0, 3])
def test_the_whiteness_from_the_sums_is_that_of_the_white_latents(keep):
    fitted, unheard = latents(), 1.5 * latents(seed=1) + 0.3
    whitening = fit(LatentStatistics.of(fitted), keep)
    own = whiteness(LatentStatistics.of(fitted), whitening)
    assert own['frames'] == len(fitted)
    assert own['largest_error'] < 0.02
    np.testing.assert_allclose(own['mean_square'], 1, rtol=0.02)
    white = np.asarray(whitening.apply(unheard), np.float64)
    second = white.T @ white / len(white)
    found = whiteness(LatentStatistics.of(unheard), whitening)
    np.testing.assert_allclose(found['mean_square'], np.square(white).mean(), rtol=1e-3)
    largest = np.abs(second - np.eye(white.shape[1])).max()
    np.testing.assert_allclose(found['largest_error'], largest, rtol=1e-3)
    assert largest > 0.5
