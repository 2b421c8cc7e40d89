"""A run that was stopped and goes on is the run that was not: every bit, and the order of data."""

import os
import signal

import flax.linen as nn
import jax
import numpy as np
import pytest

from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from jen1composer.training.loop import Interrupted, LoopConfig, Preempted, train
from jen1composer.training.metrics import MetricsFile, read_metrics
from jen1composer.training.state import TrainState, initial_state
from jen1composer.training.step import make_train_step
from tests import tiny
from tests.jen1composer.training import toy

TOTAL = 8


class Recorder:
    """Batches that note who asked for which, and send SIGTERM when `stop` is first asked for."""

    def __init__(self, stop: int | None = None):
        self.seen: list[int] = []
        self._stop = stop

    def __call__(self, step: int) -> np.ndarray:
        self.seen.append(step)
        if step == self._stop:
            self._stop = None
            os.kill(os.getpid(), signal.SIGTERM)
        return toy.batch_of(step)


def without_timing(folder) -> list[dict]:
    return [
        {name: value for name, value in row.items() if not name.endswith('_s')}
        for row in read_metrics(folder / 'metrics.jsonl')
    ]


@pytest.mark.parametrize('save_every_s', [0.0, 1e9])
@pytest.mark.parametrize('stop', range(TOTAL - 1))
def test_every_bit_is_that_of_the_run_that_never_stopped(tmp_path, stop, save_every_s):
    """`save_every_s` 0 saves at each step while the next one already overwrites the state."""
    whole, parts = Recorder(), Recorder(stop)
    expected = toy.run(tmp_path / 'whole', TOTAL, batch=whole, save_every_s=save_every_s)
    with pytest.raises(Interrupted, match=f'interrupted at step {stop + 1}'):
        toy.run(tmp_path / 'parts', TOTAL, batch=parts, save_every_s=save_every_s)
    found = toy.run(tmp_path / 'parts', TOTAL, batch=parts, save_every_s=save_every_s)
    toy.assert_bit_equal(found, expected)
    assert parts.seen == whole.seen == list(range(TOTAL))
    if save_every_s == 0:  # rows end at each save: the file reads as one run
        assert without_timing(tmp_path / 'parts') == without_timing(tmp_path / 'whole')


@pytest.mark.parametrize('stop', [0, 3])
def test_what_was_placed_ahead_and_not_used_is_read_again(tmp_path, stop):
    """The signal comes while batch `stop` is read, during the step before, if there is one."""
    whole, parts = Recorder(), Recorder(stop)
    expected = toy.run(tmp_path / 'whole', TOTAL, batch=whole, prefetch=True)
    assert whole.seen == list(range(TOTAL))
    stopped = max(1, stop)
    with pytest.raises(Preempted, match=f'interrupted at step {stopped}'):
        toy.run(tmp_path / 'parts', TOTAL, batch=parts, prefetch=True)
    found = toy.run(tmp_path / 'parts', TOTAL, batch=parts, prefetch=True)
    toy.assert_bit_equal(found, expected)
    assert parts.seen == [*range(stopped + 1), *range(stopped, TOTAL)]


def test_the_same_run_twice_is_bit_equal(tmp_path):
    first = toy.run(tmp_path / 'first', 5)
    toy.assert_bit_equal(toy.run(tmp_path / 'second', 5), first)
    assert (toy.leaves(first)[".params['w']"] != np.asarray(toy.init_params()['w'])).all()


def test_rows_written_after_the_last_save_are_taken_back(tmp_path):
    """A kill loses the steps since the save; their rows must not stand twice."""

    class Killed(Exception):
        pass

    def killed_at_six(step: int) -> np.ndarray:
        if step == 6:
            raise Killed
        return toy.batch_of(step)

    stop = Recorder(3)
    with pytest.raises(Interrupted):
        toy.run(tmp_path, TOTAL, batch=stop, save_every_s=1e9, log_every=1)
    with pytest.raises(Killed):
        toy.run(tmp_path, TOTAL, batch=killed_at_six, save_every_s=1e9, log_every=1)
    assert [row['step'] for row in without_timing(tmp_path) if 'loss' in row] == [1, 2, 3, 4, 5, 6]
    toy.run(tmp_path, TOTAL, save_every_s=1e9, log_every=1)
    toy.run(tmp_path / 'whole', TOTAL, save_every_s=1e9, log_every=1)
    assert without_timing(tmp_path) == without_timing(tmp_path / 'whole')


CONFIG = UNetConfig(
    num_tracks=4,
    latent_channels=2,
    text_width=8,
    channels=(8,),
    factors=(1,),
    blocks=(1,),
    attentions=(1,),
    head_width=8,
    condition_width=8,
    time_frequencies=2,
)


def composer_state() -> TrainState:
    return initial_state(lambda: nn.unbox(tiny.init_boxed(CONFIG)), toy.OPTIMIZER)


def test_the_composer_itself_resumes_bit_for_bit(tmp_path):
    """The real network and loss, whose noise and times must go on where they were."""
    loss = make_composer_loss(UNet(CONFIG), DiffusionConfig(), 0)
    step = jax.jit(make_train_step(loss, toy.OPTIMIZER, 0.9), donate_argnums=0)

    def run(folder, until: int) -> TrainState:
        checkpoints = Checkpoints(folder, identity={})
        state = jax.jit(composer_state)()
        if checkpoints.latest_step() is not None:
            state = checkpoints.restore(jax.eval_shape(composer_state))
        state = train(
            state,
            config=LoopConfig(total_steps=until),
            step=step,
            batches=lambda first: (
                tiny.make_batch(seed=s, first_index=8 * s) for s in range(first, until)
            ),
            checkpoints=checkpoints,
            metrics_file=MetricsFile(folder / 'metrics.jsonl', first_step=int(state.step)),
        )
        checkpoints.close()
        return state

    whole = run(tmp_path / 'whole', 6)
    for until in (2, 5, 6):
        parts = run(tmp_path / 'parts', until)
    toy.assert_bit_equal(parts, whole)
