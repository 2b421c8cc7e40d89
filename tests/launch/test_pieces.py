"""A piece on disk: what is kept comes back, whatever is made beside it."""

import numpy as np
import pytest
import soundfile

from jen1composer.generation.composer import Take
from jen1composer.generation.seams import FADE_SAMPLES
from jen1composer.tracks import Role
from launch.pieces import write_takes

N = 12_000
HOLE = (3000, 9000)
MADE = (np.arange(N) >= HOLE[0]) & (np.arange(N) < HOLE[1])
SOUND = np.random.default_rng(0).uniform(-0.9, 0.9, (N, 2)).astype(np.float32)
LATENTS = np.zeros((1, 1), np.float32)


def written(folder, audio, holes, role=Role.TARGET):
    """What the file of a single track holds, and what `piece.json` says of it."""
    take = Take(role=role, audio=audio.astype(np.float32), latents=LATENTS, holes=holes)
    facts = write_takes(folder, {'bass': take}, {})['tracks']['bass']
    return soundfile.read(folder / 'bass.flac')[0], facts


@pytest.mark.parametrize('loud', [1.5, 20.0])
def test_what_is_made_too_loud_is_made_quieter_and_what_is_kept_is_kept(tmp_path, loud):
    audio = np.where(MADE[:, None], loud * SOUND / 0.9, SOUND)
    found, facts = written(tmp_path, audio, (HOLE,))
    np.testing.assert_allclose(found[~MADE], SOUND[~MADE], atol=2.0**-23)
    inner = slice(HOLE[0] + FADE_SAMPLES, HOLE[1] - FADE_SAMPLES)
    np.testing.assert_allclose(found[inner], facts['made_gain'] * audio[inner], atol=1e-3)
    assert facts['made_gain'] == pytest.approx(0.99 / loud, rel=1e-3)
    assert facts['gain'] == 1
    assert 'warning' not in facts
    edge = found[HOLE[0] : HOLE[0] + 20] - np.clip(audio[HOLE[0] : HOLE[0] + 20], -1, 1)
    assert np.abs(edge).max() < 0.05  # it sets in gradually


@pytest.mark.parametrize(
    ('role', 'holes'), [(Role.CONDITION, ()), (Role.TARGET, (HOLE,)), (Role.TARGET, ((0, N),))]
)
def test_what_came_above_full_scale_is_made_quieter_as_a_whole_and_said(tmp_path, role, holes):
    found, facts = written(tmp_path, 2 * SOUND, holes, role)
    np.testing.assert_allclose(found, facts['gain'] * 2 * SOUND, atol=1e-3)
    assert facts['gain'] < 0.6
    assert ('above full scale' in facts.get('warning', '')) == (holes != ((0, N),))


def test_what_is_within_full_scale_comes_as_it_is(tmp_path):
    for number, holes in enumerate([(), (HOLE,), ((0, N),)]):
        found, facts = written(tmp_path / str(number), SOUND, holes)
        np.testing.assert_allclose(found, SOUND, atol=2.0**-23)
        assert facts['gain'] == facts.get('made_gain', 1) == 1
