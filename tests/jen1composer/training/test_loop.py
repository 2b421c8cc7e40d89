"""The loop: it stops at what is not finite, and at a signal it saves first."""

import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.loop import NotFinite
from jen1composer.training.metrics import read_metrics
from tests.jen1composer.training import toy


def spoiled_at(bad: int):
    def batch(step: int) -> np.ndarray:
        return toy.batch_of(step) * (np.nan if step == bad else 1)

    return batch


@pytest.mark.parametrize('bad', [0, 4, 6])
@pytest.mark.parametrize('save_every_s', [0.0, 1e9])
def test_what_is_not_finite_ends_the_run_by_name_and_is_not_saved(tmp_path, bad, save_every_s):
    with pytest.raises(NotFinite, match=f'in step {bad + 1}: .*loss became nan'):
        toy.run(tmp_path, 9, batch=spoiled_at(bad), save_every_s=save_every_s)
    checkpoints = Checkpoints(tmp_path / 'state', identity=toy.IDENTITY)
    step = checkpoints.latest_step()
    if save_every_s == 0 and bad > 0:
        assert step == bad
        state = checkpoints.restore(jax.eval_shape(toy.fresh_state))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
    else:
        assert step is None
    checkpoints.close()
    assert 'nan' not in (tmp_path / 'metrics.jsonl').read_text()


def test_a_term_beside_the_loss_is_named_too(tmp_path):
    @jax.jit
    def step(state, batch):
        state, metrics = toy.make_step()(state, batch)
        return state, metrics | {'largest': metrics['largest'] / 0}

    with pytest.raises(NotFinite, match=r'in step 1: largest became inf; what was saved'):
        toy.run(tmp_path, 9, step=step, save_every_s=1e9)


def test_rows_hold_means_over_their_steps_and_evaluations_stand_where_asked(tmp_path):
    toy.run(tmp_path, 10, log_every=3, evaluate_every=4, save_every_s=1e9)
    rows = read_metrics(tmp_path / 'metrics.jsonl')
    assert [row['step'] for row in rows if 'mean' in row] == [0, 4, 8, 10]
    assert [row['step'] for row in rows if 'loss' in row] == [3, 4, 6, 8, 9, 10]
    state, step = toy.fresh_state(), toy.make_step()
    losses = []
    for number in range(3):
        state, metrics = step(state, toy.batch_of(number))
        losses.append(float(metrics['loss']))
    first = next(row for row in rows if 'loss' in row)
    np.testing.assert_allclose(first['loss'], np.mean(losses), rtol=1e-6)
    assert {'gradient_norm', 'largest', 'step_s', 'data_wait_s'} < first.keys()


def test_the_whole_loop_compiles_its_step_once(tmp_path):
    step = toy.make_step()
    toy.run(tmp_path, 20, step=step)
    assert step._cache_size() == 1


def test_nothing_moves_but_what_is_said_to(tmp_path):
    """A batch that is not placed would be moved by the step itself, at each one."""
    with pytest.raises(Exception, match='Disallowed host-to-device transfer'):
        toy.run(tmp_path, 2, place=lambda batch: batch)


def test_a_finished_run_is_left_as_it_is(tmp_path):
    first = toy.run(tmp_path, 5)
    rows = read_metrics(tmp_path / 'metrics.jsonl')
    toy.assert_bit_equal(toy.run(tmp_path, 5), first)
    assert read_metrics(tmp_path / 'metrics.jsonl') == rows


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(tmp_path, number, status):
    command = [sys.executable, '-m', toy.__name__, str(tmp_path), '30', 'inf']
    environment = os.environ | {'JAX_PLATFORMS': 'cpu'}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            if int(line) == 6:
                process.send_signal(number)
                break
        rest = process.stdout.read().splitlines()
        assert process.wait(60) == status
    *steps, last = ['6', *rest]
    saved = int(steps[-1]) + 1  # the step that was running was finished
    assert last.startswith(f'interrupted at step {saved}; ')
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert [int(line) for line in again.stdout.splitlines()] == list(range(saved, 30))
    checkpoints = Checkpoints(tmp_path / 'state', identity=toy.IDENTITY)
    state = checkpoints.restore(jax.eval_shape(toy.fresh_state))
    checkpoints.close()
    toy.assert_bit_equal(state, toy.run(tmp_path / 'whole', 30, save_every_s=1e9))
