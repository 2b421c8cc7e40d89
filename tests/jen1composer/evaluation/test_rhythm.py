"""IRS, CBS and CBD: closed forms on beats, and on sound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jen1composer.evaluation.rhythm import (
    beat_dispersion,
    beat_synchronization,
    find_beats,
    inner_track_stability,
    rhythm,
)
from tests.jen1composer.evaluation.band import clicks

GRID = np.arange(0.21, 6, 0.5)


def test_one_rhythm_is_steady_and_together():
    assert inner_track_stability([GRID, GRID]) == pytest.approx(0, abs=1e-12)
    assert beat_synchronization([GRID] * 4) == 1
    assert beat_dispersion([GRID] * 4) == 0


@given(late_s=st.floats(0.0, 0.2), tempo=st.floats(0.5, 2.0))
def test_dispersion_is_the_lateness_over_half_a_beat_at_any_tempo(late_s, tempo):
    late = beat_dispersion([GRID, GRID + late_s])
    assert late == pytest.approx(late_s / 0.25)
    assert beat_dispersion([GRID * tempo, (GRID + late_s) * tempo]) == pytest.approx(late)


def test_one_tempo_at_any_phase_disperses_by_a_half_in_the_mean():
    phases = np.linspace(-0.25, 0.25, 101)[:-1] + 0.0025
    mean = np.mean([beat_dispersion([GRID, GRID + phase]) for phase in phases])
    assert mean == pytest.approx(0.5, abs=0.01)


def test_tracks_that_never_meet_have_one_over_their_number():
    apart = [GRID + shift for shift in (0.0, 0.1, 0.2)]
    assert beat_synchronization(apart) == pytest.approx(1 / 3)


def test_synchronization_counts_the_tracks_in_each_window():
    # Windows of 1 s: 0 has both, 1 has one track twice, 3 has the other.
    beats = [np.array([0.1, 1.2, 1.3]), np.array([0.9, 3.0])]
    assert beat_synchronization(beats, window_s=1.0) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_half_the_beats_are_half_in_time():
    assert beat_synchronization([GRID, GRID[::2]]) == pytest.approx(0.75)
    assert beat_dispersion([GRID, GRID[::2]]) == 0  # a beat with no partner is not counted


@given(jitter_s=st.floats(0.001, 0.05), seed=st.integers(0, 50))
def test_jitter_is_unsteady_by_its_size_and_whatever_the_order(jitter_s, seed):
    moved = GRID + jitter_s * np.random.default_rng(seed).uniform(-1, 1, len(GRID))
    assert inner_track_stability([moved]) == pytest.approx(np.diff(moved).std())
    assert inner_track_stability([GRID, moved]) == pytest.approx(np.diff(moved).std() / 2)
    for measure in (inner_track_stability, beat_synchronization, beat_dispersion):
        assert measure([GRID, moved]) == pytest.approx(measure([moved, GRID]))


def test_too_few_beats_are_none():
    few = np.array([1.0, 2.0])
    assert inner_track_stability([few]) is None
    assert beat_synchronization([GRID, np.zeros(0)]) is None
    assert beat_dispersion([GRID, few]) is None
    silence = np.zeros((48_000, 2), np.float32)
    assert rhythm({'bass': silence, 'drums': silence}) == {'irs': None, 'cbs': None, 'cbd': None}


def test_beats_are_found_and_moving_a_track_disperses_them():
    pulse = np.arange(0.25, 6, 0.5)
    bass, drums = clicks(pulse, 6.0, 80), clicks(pulse, 6.0)
    beats = find_beats(drums)
    inside = beats[(beats > 0.5) & (beats < 5.5)]
    assert len(inside) == 10
    assert np.abs(inside - np.arange(0.75, 5.5, 0.5)).max() < 0.03
    together = rhythm({'bass': bass, 'drums': drums})
    apart = rhythm({'bass': clicks(pulse + 0.12, 6.0, 80), 'drums': drums})
    assert together['irs'] < 0.02
    assert together['cbd'] < 0.1 < apart['cbd']
    assert together['cbs'] > apart['cbs']


@pytest.mark.parametrize('gain', [0.1, 2.0])
def test_loudness_is_not_heard(gain):
    stems = {'bass': clicks(GRID, 6.0, 80), 'drums': clicks(GRID[::2], 6.0)}
    louder = {name: stem * np.float32(gain) for name, stem in stems.items()}
    assert rhythm(louder) == pytest.approx(rhythm(stems))
