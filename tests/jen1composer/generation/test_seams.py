"""Splicing: what is kept, what is made, and that power and signal go on between them."""

import numpy as np
import pytest

from jen1composer.generation.seams import FADE_SAMPLES, splice
from tests.jen1composer import tiny_codec

N = 20_000
OLD, NEW = tiny_codec.sound(N, 2, seed=1), tiny_codec.sound(N, 2, seed=2)


def test_outside_the_holes_nothing_changes_and_inside_the_fades_all_is_new():
    result = splice(OLD, NEW, ((4000, 9000), (15_000, 15_500)))
    made = np.zeros(N, bool)
    made[4000:9000] = made[15_000:15_500] = True
    np.testing.assert_array_equal(result[~made], OLD[~made])
    inner = slice(4000 + FADE_SAMPLES, 9000 - FADE_SAMPLES)
    np.testing.assert_array_equal(result[inner], NEW[inner])
    assert not (result[made] == OLD[made]).all(axis=1).any()


def test_a_hole_to_the_end_of_the_piece_has_one_fade():
    np.testing.assert_array_equal(splice(OLD, NEW, ((0, N),)), NEW)
    right = splice(OLD, NEW, ((4000, N),))
    np.testing.assert_array_equal(right[4000 + FADE_SAMPLES :], NEW[4000 + FADE_SAMPLES :])
    left = splice(OLD, NEW, ((0, 4000),))
    np.testing.assert_array_equal(left[: 4000 - FADE_SAMPLES], NEW[: 4000 - FADE_SAMPLES])


@pytest.mark.parametrize('length', [0, 1, 2, 3, 700, 5000])
def test_power_is_kept_through_a_hole_of_any_length(length):
    """The squares of the weights add up to 1, so unlike music of one loudness stays as loud."""
    ones, zeros = np.ones((N, 2), np.float32), np.zeros((N, 2), np.float32)
    hole = ((8000, 8000 + length),)
    of_old, of_new = splice(ones, zeros, hole), splice(zeros, ones, hole)
    np.testing.assert_allclose(of_old**2 + of_new**2, 1, atol=1e-6)
    assert (of_new[8000 : 8000 + length] > 0).all()


@pytest.mark.parametrize('length', [200, 1000, 1900, 10_000])
def test_there_is_no_jump_where_two_sounds_differ(length):
    """Constants of either sign: a cut would jump by 2, a fade moves by pi / 2 x sqrt 2 / length."""
    steps = np.diff(splice(np.ones((N, 2)), -np.ones((N, 2)), ((5000, 5000 + length),)), axis=0)
    fade = min(FADE_SAMPLES, length // 2)
    assert np.abs(steps).max() < 1.01 * np.sqrt(2) * np.pi / 2 / fade


@pytest.mark.parametrize('scale', [1e-4, 1.0])
def test_a_sound_fades_into_itself_unchanged_and_into_silence_without_a_break(scale):
    sound = (scale * OLD).astype(np.float32)
    holes = ((4000, 9000), (15_000, 15_500))
    np.testing.assert_allclose(splice(sound, sound, holes), sound, atol=1e-6 * scale)
    assert np.isfinite(splice(sound, 0 * sound, holes)).all()


@pytest.mark.parametrize('rho', [0.0, 0.3, 0.7, 0.95])
def test_the_power_of_a_fade_is_that_of_two_sounds_as_alike_as_they_are(rho):
    """By averages over many fades, within each eighth of one."""
    rng = np.random.default_rng(0)
    total, power = 400 * 2 * FADE_SAMPLES, np.zeros(8)
    old, other = rng.normal(size=(2, total, 2)).astype(np.float32)
    new = rho * old + np.sqrt(1 - rho**2) * other
    starts = np.arange(2 * FADE_SAMPLES, total - 4 * FADE_SAMPLES, 4 * FADE_SAMPLES)
    result = splice(old, new, tuple((s, s + 2 * FADE_SAMPLES) for s in starts.tolist()))
    for start in starts:
        fade = result[start : start + FADE_SAMPLES].reshape(8, -1)
        power += np.mean(np.square(fade), axis=1) / len(starts)
    np.testing.assert_allclose(power, 1, atol=0.02)
