"""The order of things in a step, and who decides: no evaluation is lost, no host acts alone."""

import os
import signal

import jax
import pytest

from jen1composer.training import hosts
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.loop import LoopConfig, Preempted, train
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from tests.jen1composer.training import toy

TOTAL = 9


class Killed(Exception):
    pass


class Once:
    """Kills when it is told `step` for the first time."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, step: int) -> None:
        if step == self.step:
            self.step = -1
            raise Killed


def evaluated_steps(folder) -> list[int]:
    return [row['step'] for row in read_metrics(folder / 'metrics.jsonl') if 'evaluated' in row]


@pytest.mark.parametrize('at', [4, 8, TOTAL])
@pytest.mark.parametrize('place', ['evaluate', 'demo', 'save'])
def test_wherever_it_is_killed_each_evaluation_is_there_once(tmp_path, monkeypatch, at, place):
    """While it evaluates, while it makes a demo, or after these and before it has saved."""
    kill, save, heard = Once(at), Checkpoints.save, []

    def evaluate(state):
        if place == 'evaluate':
            kill(int(state.step))
        return {'evaluated': int(state.step)}

    def demo(step, state):
        if place == 'demo':
            kill(step)
        heard.append(step)

    def killed_save(self, step, state):
        if place == 'save':
            kill(step)
        save(self, step, state)

    monkeypatch.setattr(Checkpoints, 'save', killed_save)
    run = toy.whole_run(TOTAL, save_every_s=0.0, demo_every=4)
    with pytest.raises(Killed):
        run_training(run, tmp_path, evaluate=evaluate, demo=demo)
    for _ in range(2):  # the second time there is nothing to be done
        run_training(run, tmp_path, evaluate=evaluate, demo=demo)
        assert evaluated_steps(tmp_path) == [0, 4, 8, TOTAL]
        assert sorted({*heard}) == [4, 8, TOTAL]
        assert heard.count(TOTAL) == 1


class Wishing:
    """Stands for checkpoints: the clock of this host says at step 3 that it is time to save."""

    def __init__(self):
        self.saved, self.asked = [], 0

    def due(self) -> bool:
        self.asked += 1
        return self.asked > 3 and not self.saved

    def is_permanent(self, step: int) -> bool:
        return step == 7

    def save(self, step: int, state: object) -> None:
        self.saved.append(step)

    def close(self) -> None:
        pass


class Unwritten:
    def write(self, step, values):
        pass


def test_what_one_host_wishes_waits_for_the_step_at_which_all_are_asked(monkeypatch):
    """Acting on it alone would leave the others in a collective for ever."""
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(hosts, 'agree', lambda save, number: (save, number))

    def batches(first):
        for step in range(first, 20):
            if step == 11:
                os.kill(os.getpid(), signal.SIGTERM)
            yield toy.batch_of(step)

    checkpoints = Wishing()
    with pytest.raises(Preempted, match='at step 15;'):
        train(
            toy.fresh_state(),
            config=LoopConfig(total_steps=20, agree_every=5, prefetch=False),
            step=toy.make_step(),
            batches=batches,
            checkpoints=checkpoints,
            metrics_file=Unwritten(),
        )
    assert checkpoints.saved == [5, 7, 15]  # what the step says is known to all
