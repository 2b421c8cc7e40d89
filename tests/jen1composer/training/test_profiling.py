"""Profiles of the steps that were asked for, and of no other."""

import dataclasses
import os
import signal

import jax
import jax.numpy as jnp
import pytest

from jen1composer.training.profiling import Profile
from jen1composer.training.run import run_training
from jen1composer.training.signals import Signals
from tests.jen1composer.training import toy


@pytest.fixture
def told(monkeypatch):
    """What the profiler is told, in order, beside the numbers of the steps."""
    calls = []
    monkeypatch.setattr(jax.profiler, 'start_trace', lambda folder: calls.append('start'))
    monkeypatch.setattr(jax.profiler, 'stop_trace', lambda: calls.append('stop'))
    return calls


def run(profile, told, steps, signal_at=None, begin=0):
    with profile:
        for number in range(begin, steps):
            profile.before(number, jnp.ones(()))
            told.append(number)
            if number == signal_at:
                os.kill(os.getpid(), signal.SIGUSR1)


def test_a_window_by_config(tmp_path, told):
    run(Profile(tmp_path, 3, 2, begun=0), told, 7)
    assert told == [0, 1, 2, 'start', 3, 4, 'stop', 5, 6]


def test_the_steps_that_compile_and_warm_up_are_not_in_it(tmp_path, told):
    """As with --config.loop.profile_steps=2 alone, in a new run and in one that goes on at 7."""
    run(Profile(tmp_path, 0, 2, begun=0), told, 6)
    assert told == [0, 1, 'start', 2, 3, 'stop', 4, 5]
    told.clear()
    run(Profile(tmp_path, 0, 2, begun=7), told, 13, begin=7)
    assert told == [7, 8, 'start', 9, 10, 'stop', 11, 12]
    told.clear()
    run(Profile(tmp_path, begun=7), told, 16, begin=7, signal_at=7)
    assert told == [7, 8, 'start', 9, 10, 11, 12, 13, 'stop', 14, 15]


def test_a_signal_from_before_the_loop_is_not_lost(tmp_path, told):
    """A command notes it from its start, while it reads its data and restores its state."""
    with Signals([signal.SIGUSR1]):
        os.kill(os.getpid(), signal.SIGUSR1)
        run(Profile(tmp_path, begun=0), told, 4)
    assert told == [0, 1, 'start', 2, 3, 'stop']


def test_a_window_on_a_signal(tmp_path, told):
    run(Profile(tmp_path, begun=0), told, 9, signal_at=1)
    assert told == [0, 1, 'start', 2, 3, 4, 5, 6, 'stop', 7, 8]


def test_a_window_that_the_run_does_not_reach_the_end_of_is_closed(tmp_path, told):
    run(Profile(tmp_path, 3, 100, begun=0), told, 5)
    assert told == [0, 1, 2, 'start', 3, 4, 'stop']


def test_without_a_folder_the_signal_is_left_alone(told):
    before = signal.getsignal(signal.SIGUSR1)
    with Profile(None, 0, 5, begun=0) as profile:
        assert signal.getsignal(signal.SIGUSR1) == before
        profile.before(2, None)
    assert not told


def test_a_profile_is_written(tmp_path):
    with Profile(tmp_path, 0, 1, begun=0) as profile:
        profile.before(2, None)
        jnp.ones(3).block_until_ready()
        profile.before(3, None)
    assert list(tmp_path.rglob('*.xplane.pb'))


def test_a_run_that_goes_on_is_profiled(tmp_path, told):
    """The default of `profile_from` is step 0, which it has behind it."""
    for steps in (3, 8):
        told.clear()
        run = toy.whole_run(steps, profile_steps=2, prefetch=False)
        noted = dataclasses.replace(
            run, batches=lambda first, of=run.batches: noting(told, first, of(first))
        )
        run_training(noted, tmp_path)
    assert told == [3, 4, 'start', 5, 6, 'stop', 7]


def noting(told, first, batches):
    for number, batch in enumerate(batches, start=first):
        told.append(number)
        yield batch
