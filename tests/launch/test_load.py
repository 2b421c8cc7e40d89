"""launch.load against a server of its own: what it counts, and what it refuses."""

import json
import subprocess
import sys

import pytest

from launch.load import quantile
from tests.jen1composer.serving.client import ROOT, serving


def load(*flags: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-m', 'launch.load', *flags], cwd=ROOT, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.parametrize('flags', [('--pieces=2',), ('--pieces=1', '--sessions')])
def test_every_piece_of_every_client_is_counted(tmp_path, flags):
    limits = json.dumps({'workers': 1, 'queue': 1})
    with serving(tmp_path / 'data', limits=limits) as server:
        url = f'--url=http://127.0.0.1:{server.port}'
        ran = load(url, '--clients=1,3', '--steps=2', f'--out={tmp_path}', *flags)
        assert ran.returncode == 0, ran.stderr
    rows = json.loads((tmp_path / 'load.json').read_text())['rows']
    pieces = 2 if '--pieces=2' in flags else 1
    assert [(row['clients'], row['pieces']) for row in rows] == [(1, pieces), (3, 3 * pieces)]
    for row in rows:
        assert row['ends'] == {'done': row['pieces']}
        assert 0 < row['p50_s'] <= row['p95_s'] <= row['p99_s']
        assert row['memory_mib'][0] > 50
    assert rows[0]['queue_full'] == 0
    assert len(ran.stdout.splitlines()) == 2


def test_no_server_is_one_line(tmp_path):
    ran = load('--url=http://127.0.0.1:9', f'--out={tmp_path}')
    assert ran.returncode == 2
    assert ran.stderr.startswith('error: --url=http://127.0.0.1:9: there is no server')


@pytest.mark.parametrize(('share', 'expected'), [(0.5, 2.0), (0.75, 3.0), (0.99, 4.0), (0.01, 1.0)])
def test_quantiles_are_values_that_were_seen(share, expected):
    assert quantile([3.0, 1.0, 4.0, 2.0], share) == expected
