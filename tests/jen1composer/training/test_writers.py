"""Where rows go: the file always, others on demand, none of another host."""

import sys
import types

import jax
import pytest
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.training.metrics import read_metrics
from jen1composer.training.writers import open_writers

VALUES = {'loss': 1.5, 'by_time': [1, 2], 'mfu': 0.25}


def test_the_file_is_always_written(tmp_path):
    open_writers(epath.Path(tmp_path), (), 0).write(3, VALUES)
    assert read_metrics(tmp_path / 'metrics.jsonl') == [{'step': 3} | VALUES]


@pytest.mark.parametrize(('name', 'module'), [('tensorboard', 'tensorboardX'), ('wandb', 'wandb')])
def test_what_is_not_installed_is_refused_in_a_line(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadInput, match=f"loop.writers: '{name}' is not .*pip install {module}"):
        open_writers(epath.Path(tmp_path), (name,), 0)
    with pytest.raises(BadInput, match='allowed are tensorboard, wandb'):
        open_writers(epath.Path(tmp_path), ('clearml',), 0)
    assert not list(tmp_path.iterdir())


def test_another_host_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, 'process_index', lambda: 1)
    open_writers(epath.Path(tmp_path), (), 0).write(3, VALUES)
    assert not list(tmp_path.iterdir())


def test_a_run_of_wandb_goes_on(tmp_path, monkeypatch):
    """Against a module that notes what it is told: the package asks for an account."""
    told = []

    class Run:
        id = 'abc'

        def log(self, values, step):
            told.append((step, values))

    def init(**given):
        told.append(given['id'])
        return Run()

    monkeypatch.setitem(sys.modules, 'wandb', types.SimpleNamespace(init=init))
    for first in (0, 3):
        open_writers(epath.Path(tmp_path), ('wandb',), first).write(first + 3, VALUES)
    assert told == [None, (3, VALUES), 'abc', (6, VALUES)]
