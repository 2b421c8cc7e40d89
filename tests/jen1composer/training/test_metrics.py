"""The metrics file: what is written is read back, and a resume takes back what it lost."""

import json
import math

import numpy as np

from jen1composer.training.metrics import MetricsFile, read_metrics


def test_rows_are_read_back_and_plain_json(tmp_path):
    path = tmp_path / 'run' / 'metrics.jsonl'
    file = MetricsFile(path)
    file.write(1, {'loss': np.float32(0.5), 'note': 'first', 'per_track': [1.0, 2.0]})
    file.write(2, {'loss': float('nan'), 'count': 3})
    rows = read_metrics(path)
    assert rows[0] == {'step': 1, 'loss': 0.5, 'note': 'first', 'per_track': [1.0, 2.0]}
    assert rows[1] == {'step': 2, 'loss': 'nan', 'count': 3}
    assert math.isnan(float(rows[1]['loss']))
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))


def test_a_resume_drops_what_came_after_it(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    file = MetricsFile(path)
    for step in (2, 4, 6):
        file.write(step, {'loss': 1 / step})
    MetricsFile(path, first_step=4).write(6, {'loss': 0.0})
    assert [row['step'] for row in read_metrics(path)] == [2, 4, 6]
    assert read_metrics(path)[-1]['loss'] == 0


def test_a_torn_last_row_is_left_out_and_cut_off(tmp_path):
    path = tmp_path / 'metrics.jsonl'
    MetricsFile(path).write(1, {'loss': 1.0})
    with path.open('a') as file:
        file.write('{"step": 2, "lo')
    assert [row['step'] for row in read_metrics(path)] == [1]
    MetricsFile(path, first_step=5).write(2, {'loss': 0.5})
    assert [row['step'] for row in read_metrics(path)] == [1, 2]


def test_no_file_is_no_rows(tmp_path):
    assert read_metrics(tmp_path / 'none') == []
