"""The command: its example works, its errors are one line."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from data_pipeline.records import Prepared
from tests.data_pipeline.conftest import write_stems

ROOT = pathlib.Path(__file__).parents[2]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, '-m', 'launch.prepare_data', *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_folder_of_stems(tmp_path: pathlib.Path):
    music, out = write_stems(tmp_path / 'music', 3), tmp_path / 'out'
    result = run(f'--source=stems:{music}', f'--out={out}', '--workers=1')
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary['songs'] == 3
    assert summary['fingerprint'] == Prepared(out).fingerprint
    assert re.search(r'all +3 +0\.1 min', result.stdout)


def test_help_shows_an_example():
    result = run('--help')
    assert result.returncode == 0
    assert 'python -m launch.prepare_data --source=freedoom' in result.stdout


@pytest.mark.parametrize(
    'args',
    [
        ('--source=midis:x', '--out=OUT'),
        ('--source=stems:/no/such/folder', '--out=OUT'),
        ('--source=freedoom', '--out=OUT', '--songs=0'),
        ('--source=freedoom',),
        ('--out=OUT',),
        ('--source=freedoom', '--describe=x'),
        ('--describe=/no/such/folder',),
        ('--source=freedoom', '--out=OUT', '--beam=--runner=Nonsense'),
        ('--source=freedoom', '--out=OUT', '--config.roles=(("x", "sax"),)'),
        ('--source=freedoom', '--out=OUT', '--config.held_out=.9'),
        ('--source=freedoom', '--out=OUT', '--config.foo=1'),
        ('--source=freedoom', '--out=OUT', '--config.prompts.extra=1'),
        ('--source=freedoom', '--out=OUT', '--config=configs/demo.py'),
        ('--source=freedoom', '--out=OUT', '--config.prompts.dropout=2'),
        ('--source=freedoom', '--out=OUT', '--config.versions=((9, 1.0),)'),
    ],
)
def test_bad_input_is_one_line_and_no_traceback(args: tuple[str, ...], tmp_path: pathlib.Path):
    result = run(*(arg.replace('OUT', str(tmp_path / 'out')) for arg in args))
    assert result.returncode == 2
    assert result.stderr.startswith('error: ')
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_a_bucket_without_its_package_is_one_line():
    result = run('--describe=gs://bucket/data')
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "error: gs://: gcsfs is not installed; needed is pip install 'jen1composer[gcs]'"
    ]
