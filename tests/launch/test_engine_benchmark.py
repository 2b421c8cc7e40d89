"""What the benchmark of serving counts, on a composer of milliseconds."""

import json
import pathlib
import subprocess
import sys

import jax
import pytest

from launch.engine_benchmark import demo_sized, measure_engine, tables
from tests.jen1composer import tiny_composer

ROOT = pathlib.Path(__file__).parents[2]


def test_every_way_of_serving_is_measured_on_the_same_requests():
    composer = tiny_composer.composer()
    found = measure_engine(
        composer,
        clients=(1, 3),
        slots=(2, 4),
        requests=2,
        num_steps=2,
        progress=lambda items, desc: items,
    )
    assert [(row['slots'], row['clients'], row['requests']) for row in found['rows']] == [
        (slots, clients, max(clients, 2)) for slots in (None, 2, 4) for clients in (1, 3)
    ]
    for row in found['rows']:
        assert 0 < row['p50_s'] <= row['p95_s'] <= row['p99_s']
        assert row['music_s_per_s'] == pytest.approx(row['requests_per_s'] * found['window_s'])
    assert json.loads(json.dumps(found)) == found
    (table,) = tables(found)
    assert all(len(row) == len(table.header) for row in table.rows)


def test_the_composer_of_the_demos_shape_is_whole():
    composer = demo_sized()
    assert composer.spec.window_frames * composer.spec.hop_samples == 128 * 1920
    assert 1.5e6 < composer.num_parameters < 2.5e6
    assert all(leaf.any() for leaf in jax.tree.leaves(composer.params))


@pytest.mark.parametrize('flag', ['--clients=1,none', '--slots=0'])
def test_bad_input_is_one_line(flag, tmp_path):
    command = [sys.executable, '-m', 'launch.benchmark', f'--out={tmp_path}', '--only=engine', flag]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith('error: ')
    assert flag.split('=')[0].strip('-') in line
