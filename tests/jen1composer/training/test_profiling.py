"""Profiles of the steps that were asked for, and of no other."""

import os
import signal

import jax
import jax.numpy as jnp
import pytest

from jen1composer.training.profiling import Profile


@pytest.fixture
def told(monkeypatch):
    """What the profiler is told, in order, beside the numbers of the steps."""
    calls = []
    monkeypatch.setattr(jax.profiler, 'start_trace', lambda folder: calls.append('start'))
    monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: calls.append('stop'))
    return calls


def run(profile, told, steps, signal_at=None):
    with profile:
        for number in range(steps):
            profile.before(number, jnp.ones(()))
            told.append(number)
            if number == signal_at:
                os.kill(os.getpid(), signal.SIGUSR1)


def test_a_window_by_config(tmp_path, told):
    run(Profile(tmp_path, 1, 2), told, 5)
    assert told == [0, 'start', 1, 2, 'stop', 3, 4]


def test_a_window_on_a_signal(tmp_path, told):
    run(Profile(tmp_path), told, 9, signal_at=1)
    assert told == [0, 1, 'start', 2, 3, 4, 5, 6, 'stop', 7, 8]


def test_a_window_that_the_run_does_not_reach_the_end_of_is_closed(tmp_path, told):
    run(Profile(tmp_path, 1, 100), told, 3)
    assert told == [0, 'start', 1, 2, 'stop']


def test_without_a_folder_the_signal_is_left_alone(told):
    before = signal.getsignal(signal.SIGUSR1)
    with Profile(None, 0, 5) as profile:
        assert signal.getsignal(signal.SIGUSR1) == before
        profile.before(0, None)
    assert not told


def test_a_profile_is_written(tmp_path):
    with Profile(tmp_path, 0, 1) as profile:
        profile.before(0, None)
        jnp.ones(3).block_until_ready()
        profile.before(1, None)
    assert list(tmp_path.rglob('*.xplane.pb'))
