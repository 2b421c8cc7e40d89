"""Signals that are noted: a cluster may say twice that it takes the machine, a person insists."""

import os
import signal

import pytest

from jen1composer.training.loop import Preempted
from jen1composer.training.signals import Signals
from tests.jen1composer.training import toy


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def raises():
    """Where a signal is not noted, the test fails and its process goes on."""

    def not_noted(number, frame):
        raise AssertionError(signal.Signals(number).name)

    before = signal.signal(signal.SIGTERM, not_noted)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures('raises')
def test_sigterm_is_noted_as_often_as_it_comes():
    with Signals() as stop:
        for _ in range(3):
            send(signal.SIGTERM)
    assert stop.received == signal.SIGTERM


def test_a_second_interrupt_does_what_it_did_before(request):
    before = signal.default_int_handler
    at_first = signal.signal(signal.SIGINT, before)  # a shell has it ignored in the background
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, at_first))
    with Signals() as stop:
        send(signal.SIGINT)
        assert stop.received == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) is before
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_came_before_the_inner_context_is_known_in_it():
    with Signals([signal.SIGUSR1]) as outer:
        with Signals([signal.SIGUSR1]) as inner:
            assert inner.received == 0
        send(signal.SIGUSR1)
        with Signals([signal.SIGUSR1]) as inner, Signals() as other:
            assert (inner.received, other.received) == (signal.SIGUSR1, 0)
        send(signal.SIGUSR1)  # and it is noted again afterwards
        assert outer.received == signal.SIGUSR1


@pytest.mark.usefixtures('raises')
def test_a_second_sigterm_while_the_state_is_being_saved_does_not_stop_that(tmp_path):
    def batch(step: int):
        if step == 2:
            send(signal.SIGTERM)
            send(signal.SIGTERM)
        return toy.batch_of(step)

    with pytest.raises(Preempted, match='interrupted at step 3'):
        toy.run(tmp_path, 9, batch=batch, save_every_s=1e9)
    assert int(toy.run(tmp_path, 3).step) == 3
