"""The command: a refusal in one line, and work that was interrupted goes on and repeats nothing."""

import functools
import json
import pathlib
import signal
import subprocess
import sys

import pytest

from configs import ablation_synthetic
from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import read_meta
from jen1composer.training.loop import Interrupted
from launch import ablation_grid, ablation_work
from launch.ablation_synthetic_run import SyntheticSubject

ROOT = pathlib.Path(__file__).parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'launch.ablate', *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_config_of_another_command_is_refused_in_one_line(tmp_path):
    done = run('--config=configs/demo.py', f'--workdir={tmp_path / "out"}')
    assert done.returncode == 2
    assert '--config: not a config of ablate' in done.stderr
    assert done.stderr.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def small_cell() -> ablation_grid.Cell:
    """The base, of a network that compiles in seconds."""
    config = ablation_synthetic.get_config('quick')
    config.batch, config.sampling = 4, ()
    config.model.channels, config.model.factors = (8,), (1,)
    config.model.blocks, config.model.attentions = (1,), (0,)
    config.model.use_prefix = config.model.use_role_tokens = False
    config.optimizer.name = 'adamw'
    config.variants = {}
    return ablation_grid.make_cells(config)[0]


@pytest.mark.slow
def test_a_cell_that_was_interrupted_goes_on_from_its_checkpoint(tmp_path):
    cell, subject = small_cell(), SyntheticSubject()
    finish = functools.partial(ablation_work.finish, cell, subject)

    def stop_at_four(steps, name):
        for step in steps:
            if step == 4:
                signal.raise_signal(signal.SIGINT)
            yield step

    with pytest.raises(Interrupted):
        finish(tmp_path, stop_at_four)
    checkpoints = tmp_path / 'runs' / cell.run_name / 'checkpoints'
    stopped = read_meta(checkpoints).step
    assert 0 < stopped < 10
    seen = []

    def watched(steps, name):
        for step in steps:
            seen.append(step)
            yield step

    found = finish(tmp_path, watched)
    assert seen == list(range(stopped, 10))
    whole = finish(tmp_path / 'whole', lambda steps, name: steps)
    assert found['rows'] == whole['rows']
    kept = ablation_grid.keep(cell, tmp_path, found)
    assert ablation_grid.known(cell, tmp_path) == json.loads(json.dumps(kept))


@pytest.mark.slow
def test_a_price_is_timed_once(tmp_path):
    cells, subject = [small_cell()], SyntheticSubject()
    first = ablation_work.prices(cells, subject, tmp_path, lambda n, what: n)
    again = ablation_work.prices(cells, subject, tmp_path, lambda n, what: n)
    assert first == again
    assert first[0].steps == 10
    assert first[0].seconds > first[0].compile_s > 0
    ablation_grid.keep(cells[0], tmp_path, {'rows': {}})
    assert ablation_work.prices(cells, subject, tmp_path, lambda n, what: n)[0].seconds == 0


def test_a_subject_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match=r'--config\.subject'):
        ablation_work.make_subject('music')
