"""The command: refusals in one line, and a comparison that goes on where it was."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
TINY = (
    '--config.model.channels=(32,)',
    '--config.model.factors=(1,)',
    '--config.model.blocks=(1,)',
    '--config.model.attentions=(1,)',  # without any, the context's weights would have no use
    '--config.optimizer.name=adamw',
    '--frames=8',
)


def run(*args: str, config: str = 'demo') -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'launch.compare_sharding', f'--config=configs/{config}.py']
    return subprocess.run([*command, *args], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ('flag', 'said'),
    [
        ('--devices=cpu:none', '--devices=cpu:none: allowed are cpu:8'),
        ('--strategies=zero', "sharding.strategy: 'zero'; allowed are dp"),
        ('--sweep=batch', '--sweep=batch: without values'),
        ('--xla_preset=fast', '--xla_preset'),
        ('--devices=tpu', '--devices=tpu: JAX finds no tpu here'),  # not a refusal of every cell
    ],
)
def test_bad_input_is_one_line(tmp_path, flag, said):
    done = run('--devices=cpu:2', flag, f'--out={tmp_path / "out"}')
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_a_comparison_of_nothing_ends_with_status_1_and_says_why(tmp_path):
    args = ('--devices=cpu:2', '--strategies=dp', '--batch=3', '--sweep=seed=0,1')
    done = run(*args, '--xla_preset=gpu_deterministic', f'--out={tmp_path}')
    assert done.returncode == 1
    assert 'error: no cell could be compiled' in done.stderr
    assert done.stdout.count('REFUSED: batch: 3; allowed are multiples of 2') >= 2
    rows = json.loads((tmp_path / 'comparison.json').read_text())['rows']
    assert [row['status'] for row in rows] == ['refused', 'refused']


@pytest.mark.slow
@pytest.mark.pod
def test_a_comparison_is_told_drawn_and_gone_on_with(tmp_path):
    args = ('--devices=cpu:2', '--repeats=1', '--batch=4', *TINY, f'--out={tmp_path}')
    first = run(*args, '--strategies=dp')
    assert first.returncode == 0, first.stderr
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / 'cells').iterdir()}
    assert len(cells) == 2  # it, and one device alone

    second = run(*args, '--strategies=dp,fsdp', '--sweep=batch=4,3')
    assert second.returncode == 0, second.stderr
    assert all(path.stat().st_mtime_ns == time for path, time in cells.items())
    found = json.loads((tmp_path / 'comparison.json').read_text())
    rows = {(row['strategy'], row['batch']): row for row in found['rows']}
    assert rows['dp', 3]['status'] == rows['fsdp', 3]['status'] == 'refused'
    dp = rows['dp', 4]
    assert dp['status'] == 'run'
    assert dp['efficiency'] > 0
    needed = sum(dp['ideal'].values())
    assert needed <= dp['bytes_sent'] <= needed + 1000
    assert found['best'].endswith('batch=4')
    page = (tmp_path / 'index.html').read_text()
    assert page.count('<svg') >= 2
