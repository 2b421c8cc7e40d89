"""Batches that are one again and again: steps are timed, and the run they are timed for stays."""

import dataclasses
import os
import signal

import pytest

from jen1composer.training.loop import Preempted
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from tests.jen1composer.training import toy


def contents(folder) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and 'synthetic' not in path.relative_to(folder).parts
    }


def never(*_: object):
    raise AssertionError('neither evaluated nor made to hear')


def test_a_run_is_as_it_was_and_goes_on_as_if_nothing_had_been(tmp_path, capsys):
    run_training(toy.whole_run(4), tmp_path)
    before = contents(tmp_path)
    timing = toy.whole_run(6, synthetic_batches=True, save_every_s=0.0)
    for _ in range(2):
        capsys.readouterr()
        assert int(run_training(timing, tmp_path, evaluate=never, demo=never).step) == 6
        (said,) = [line for line in capsys.readouterr().err.splitlines() if 'synthetic' in line]
        assert 'none is saved' in said
        rows = read_metrics(tmp_path / 'synthetic' / 'metrics.jsonl')
        assert [row['step'] for row in rows] == [3, 4, 6]
        assert all(row['step_s'] > 0 for row in rows)
    assert contents(tmp_path) == before
    found = run_training(toy.whole_run(7), tmp_path)
    toy.assert_bit_equal(found, run_training(toy.whole_run(7), tmp_path / 'undisturbed'))


def test_stopped_it_does_not_say_that_it_goes_on(tmp_path):
    timing = toy.whole_run(6, synthetic_batches=True)
    of = timing.batches

    def batches(first):
        os.kill(os.getpid(), signal.SIGTERM)
        yield from of(first)

    timing = dataclasses.replace(timing, batches=batches)
    with pytest.raises(Preempted, match='interrupted at step 1; nothing is saved'):
        run_training(timing, tmp_path)
    assert not [path for path in tmp_path.rglob('*') if path.name.isdecimal()]
