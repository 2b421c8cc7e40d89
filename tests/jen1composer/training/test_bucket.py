"""A run whose workdir is in a bucket: what is written beside its checkpoints.

The checkpoints lie here, since TensorStore reaches a bucket by itself and not through fsspec.
"""

import functools
import json

from etils import epath

from jen1composer.training import run as module
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.files import Lines, write_whole
from jen1composer.training.goodput import read_rows
from jen1composer.training.metrics import read_metrics
from jen1composer.training.run import run_training
from tests.data_pipeline.bucket import bucket  # noqa: F401
from tests.jen1composer.training import toy


def without_timing(row: dict) -> dict:
    return {k: v for k, v in row.items() if not k.endswith('_s') and k not in ('goodput', 'time')}


def test_all_rows_of_a_run_that_went_on_are_there(bucket, tmp_path, monkeypatch):  # noqa: F811
    address, objects = bucket
    here = functools.partial(Checkpoints, tmp_path / 'checkpoints')
    monkeypatch.setattr(module, 'Checkpoints', lambda folder, **settings: here(**settings))

    def evaluate(state):
        return {'evaluated': int(state.step)}

    far = epath.Path(address) / 'run'
    for steps in (5, 9):
        run_training(toy.whole_run(steps, dump_hlo=True), far, evaluate=evaluate)

    rows = read_metrics(far / 'metrics.jsonl')
    assert [row['step'] for row in rows if 'loss' in row] == [3, 4, 5, 6, 8, 9]
    assert [row['step'] for row in rows if 'evaluated' in row] == [0, 4, 5, 8, 9]
    spent = read_rows(far / 'goodput.jsonl')
    assert [row['begun'] for row in spent if 'begun' in row] == [0, 5]
    assert [row['step'] for row in spent if 'step' in row] == [3, 4, 5, 5, 6, 8, 9, 9]
    assert {path.name for path in (objects / 'run').iterdir()} == {
        'metrics.jsonl',
        'goodput.jsonl',
        'hlo.txt',
    }


def test_lines_are_added_here_and_there_alike(bucket, tmp_path):  # noqa: F811
    for folder in (epath.Path(bucket[0]), epath.Path(tmp_path)):
        path = folder / 'new' / 'rows.jsonl'
        Lines(path).add('1')
        lines = Lines(path)
        lines.add('2')
        lines.add('3')
        assert [json.loads(line) for line in path.read_text().splitlines()] == [1, 2, 3]
        Lines(path, '7\n').add('8')
        assert path.read_text() == '7\n8\n'
        write_whole(path, b'whole')
        assert path.read_text() == 'whole'
