"""The ends of steps are noticed while nobody waits, and the stacks written where none comes."""

import threading
import time

import jax
import jax.numpy as jnp
import pytest

from jen1composer.training.watchdog import StepEnds


def until(true) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError('it never came true')


class Step:
    """Stands for metrics that are there when the test says so."""

    def __init__(self):
        self.ended = threading.Event()

    def block_until_ready(self):
        assert self.ended.wait(20)
        return self


def test_devices_idle_only_while_no_step_runs():
    running = Step()
    with StepEnds() as ends:
        asked = ends.now() - 100
        assert ends.idle_s(asked) >= 100  # nothing was started yet
        ends.started(running)
        assert ends.idle_s(asked) == 0
        running.ended.set()
        until(lambda: ends.idle_s(asked) > 0)
        assert ends.idle_s(asked) < 50  # counted from the end of the step, not from `asked`
        assert ends.idle_s(ends.now()) < 50


def test_stacks_are_written_where_no_step_ends_and_nothing_is_killed(tmp_path):
    stacks, running = tmp_path / 'stacks.txt', Step()
    with StepEnds(stacks, 0.05) as ends:
        ends.started(running)
        until(lambda: 'test_watchdog' in stacks.read_text())
        running.ended.set()
    written = stacks.read_text()
    assert 'Timeout' in written
    time.sleep(0.2)
    assert stacks.read_text() == written  # it is over


@pytest.mark.parametrize('after_s', [0.0, 1000.0])
def test_a_run_whose_steps_end_writes_none(tmp_path, after_s):
    with StepEnds(tmp_path / 'stacks.txt', after_s) as ends:
        for _ in range(3):
            ends.started({'loss': jax.device_put(jnp.ones(()))})
    assert (tmp_path / 'stacks.txt').exists() == (after_s > 0)
    assert after_s == 0 or not (tmp_path / 'stacks.txt').read_text()
