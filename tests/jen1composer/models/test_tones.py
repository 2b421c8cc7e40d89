"""Tones: what is measured is what sounds, and the clock goes on however the sound is cut."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jen1composer.models import tones
from jen1composer.tracks import SAMPLE_RATE

PITCHES = tones.Pitches(lowest_hz=110.0, per_octave=12, octaves=5)
STRIDE, WINDOW = 480, 4096
NOW = jnp.zeros(1, jnp.int32)


def sinusoid(hz: float, level: float, seconds: float = 0.5) -> np.ndarray:
    n = np.arange(round(seconds * SAMPLE_RATE))
    wave = level * np.sin(2 * np.pi * hz * n / SAMPLE_RATE + 0.3)
    return np.stack([wave, 0 * wave], axis=-1)[None].astype(np.float32)


def alone(pitch: int, level: float, frames: int) -> np.ndarray:
    levels = np.zeros((1, frames, len(PITCHES.hz), 2), np.float32)
    levels[:, :, pitch, 1] = level
    return levels


@pytest.mark.parametrize('pitch', [12, 31, 57])
def test_a_sinusoid_is_loudest_at_its_pitch_and_its_power_is_counted_once(pitch):
    x = sinusoid(PITCHES.hz[pitch], 0.2)
    found = np.asarray(tones.levels(x, PITCHES, STRIDE, WINDOW))
    assert found.shape == (1, x.shape[1] // STRIDE, len(PITCHES.hz), 2)
    middle = found[0, 10:-10]
    assert (middle[..., 0].argmax(axis=1) == pitch).all()
    power = np.square(middle[..., 0]).sum(axis=1)
    np.testing.assert_allclose(power, 0.2**2, rtol=0.02)
    assert not middle[..., 1].any()


def test_what_is_measured_and_sounded_again_is_as_loud():
    """Of chords of sinusoids on and between the pitches, whatever their phases."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        hz = PITCHES.hz[10] * 2 ** rng.uniform(0, 3, 6)
        x = sum(
            sinusoid(f, level, 2.0) for f, level in zip(hz, rng.uniform(0.02, 0.1, 6), strict=True)
        )
        again = tones.sound(tones.levels(x, PITCHES, STRIDE, WINDOW), PITCHES, STRIDE, NOW)
        inner = slice(WINDOW, -WINDOW)
        power = [np.square(np.asarray(y)[0, inner, 0]).mean() for y in (x, again)]
        assert abs(10 * np.log10(power[1] / power[0])) < 1.0


def test_levels_follow_the_loudness_of_the_sound():
    x = sinusoid(440.0, 0.2)
    soft, loud = (tones.levels(gain * x, PITCHES, STRIDE, WINDOW) for gain in (1, 10))
    np.testing.assert_allclose(loud, 10 * np.asarray(soft), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('pitch', [0, 30, 59])
def test_a_tone_that_is_held_is_a_sinusoid_of_its_pitch_and_level(pitch):
    y = np.asarray(tones.sound(alone(pitch, 0.2, 100), PITCHES, STRIDE, NOW))[0]
    assert not y[:, 0].any()
    held = y[2 * STRIDE : -2 * STRIDE, 1]
    n = np.arange(len(held)) / SAMPLE_RATE
    turning = np.exp(-2j * np.pi * PITCHES.hz[pitch] * n)
    amplitude = 2 * np.mean(held * turning)
    assert abs(amplitude) == pytest.approx(0.2, rel=0.02)
    rest = held - np.real(amplitude * np.conj(turning))
    assert np.abs(rest).max() < 0.01 * 0.2 + 0.2 * 2 / len(held) * 48  # what is no whole period


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**20))
def test_the_clock_goes_on_where_sound_is_made_in_parts(cut, begun):
    levels = np.random.default_rng(cut).random((1, 24, len(PITCHES.hz), 2)).astype(np.float32)
    start = jnp.full(1, begun, jnp.int32)
    whole = np.asarray(tones.sound(levels, PITCHES, STRIDE, start))
    rest = np.asarray(tones.sound(levels[:, cut:], PITCHES, STRIDE, start + cut))
    np.testing.assert_allclose(rest[:, STRIDE:], whole[:, (cut + 1) * STRIDE :], atol=1e-4)


def test_each_example_has_a_clock_of_its_own():
    levels = np.repeat(alone(7, 0.5, 4), 2, axis=0)
    both = tones.sound(levels, PITCHES, STRIDE, jnp.array([0, 3]))
    later = tones.sound(levels[:1], PITCHES, STRIDE, jnp.array([3]))
    np.testing.assert_array_equal(both[1:], later)
    assert np.abs(np.asarray(both[0] - both[1])).max() > 0.1


def test_after_hours_a_tone_is_where_arithmetic_without_rounding_has_it():
    pitch, frames = 40, 2**20 + 12345  # three hours
    y = tones.sound(alone(pitch, 1.0, 3), PITCHES, STRIDE, jnp.full(1, frames, jnp.int32))
    # The clock knows the pitch to 2^-33 turns a frame, which is what three hours multiply.
    turns = round(PITCHES.hz[pitch] * STRIDE / SAMPLE_RATE % 1 * 2**32) * frames % 2**32
    phase = turns / 2**32 + pitch * tones.GOLDEN
    n = np.arange(STRIDE) + 1.5 * STRIDE  # of the frame that begins half a frame before the sound
    at = PITCHES.hz[pitch] * n / SAMPLE_RATE + phase
    np.testing.assert_allclose(
        np.asarray(y)[0, STRIDE : 2 * STRIDE, 1], np.cos(2 * np.pi * at), atol=2e-2
    )
