"""launch.serve: the command as a process, on a workdir, and what it refuses."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from jen1composer.generation.request import Request
from tests.jen1composer import tiny_composer
from tests.jen1composer.serving.client import Client

ROOT = pathlib.Path(__file__).parents[2]
TOKEN = 'a-token-of-some-length'


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('serve') / 'composer'
    workdir.mkdir()
    tiny_composer.save(tiny_composer.composer(), workdir)
    return workdir


def command(*flags: str) -> list[str]:
    return [sys.executable, '-m', 'launch.serve', *flags]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def started(*flags: str, port: int, log: pathlib.Path):
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JEN1COMPOSER_TOKEN': TOKEN}
    with log.open('w') as out:
        process = subprocess.Popen(
            command(*flags, f'--port={port}'), cwd=ROOT, env=environment, stdout=out, stderr=out
        )
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(OSError):
                if Client(port).get('/readyz').status == 200:
                    break
            time.sleep(0.1)
        else:
            raise AssertionError(log.read_text()[-3000:])
        yield process
    finally:
        process.kill()
        process.wait()


def test_it_serves_the_music_that_the_composer_makes(model, tmp_path):
    port, log = free_port(), tmp_path / 'log'
    flags = (f'--model={model}', f'--sessions={tmp_path / "sessions"}', '--steps=10')
    asked = {'prompt': 'rock', 'steps': 4, 'seed': 3, 'seconds': 0.01}
    with started(*flags, port=port, log=log) as process:
        assert Client(port).get('/api/about').status == 401
        client = Client(port, {'Authorization': f'Bearer {TOKEN}'})
        assert client.get('/api/about').json['limits']['steps'] == 10
        job = client.post('/api/compose', asked).json['job']
        assert client.wait(job)['state'] == 'done'
        sound = client.get(f'/api/jobs/{job}/tracks/bass.flac').sound
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert f'http://127.0.0.1:{port}' in log.read_text()
    assert 'Traceback' not in log.read_text()
    request = Request(prompt='rock', num_steps=4, seed=3, seconds=0.01)
    alone = tiny_composer.composer().compose(request).takes['bass'].audio
    error = np.sum(np.square(sound - np.clip(alone, -1, 1)), dtype=np.float64)
    assert 10 * np.log10(np.sum(np.square(alone), dtype=np.float64) / error) > 80  # dB


@pytest.mark.parametrize(
    ('flags', 'line'),
    [
        (['--model=nowhere'], 'nowhere'),
        (['--model=x', '--host=0.0.0.0'], '--host=0.0.0.0: needs --token_file'),
        (['--model=x', '--token_file=nowhere'], '--token_file=nowhere: cannot be read'),
        (['--model=x', '--port=0'], '--port'),
        (['--model=x', '--slots=1'], '--slots'),
        (['--model=x', '--samplers=dpmpp_2m,x'], '--samplers=dpmpp_2m,x: allowed are ddpm'),
        (['--model=x', '--seconds=nan'], '--seconds=nan: allowed are 0.01 to 600 seconds'),
        (['--model=x', '--seconds=-1'], '--seconds=-1: allowed are'),
        (['--model=x', '--job_s=-5'], '--job_s=-5: allowed are'),
        (['--model=x', '--grace_s=nan'], '--grace_s=nan: allowed are'),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flags, line, tmp_path):
    environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XDG_DATA_HOME': str(tmp_path)}
    ran = subprocess.run(
        command(*flags), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 2
    assert line in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_short_token_is_refused(tmp_path):
    (tmp_path / 'token').write_text('short\n')
    ran = subprocess.run(
        command('--model=x', f'--token_file={tmp_path / "token"}'),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2
    assert '5 letters; allowed are 16 or more' in ran.stderr


def test_a_port_that_is_taken_is_said_so(model, tmp_path):
    with socket.socket() as other:
        other.bind(('127.0.0.1', 0))
        other.listen()
        port = other.getsockname()[1]
        ran = subprocess.run(
            command(f'--model={model}', f'--port={port}', f'--sessions={tmp_path}'),
            cwd=ROOT,
            env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.splitlines()[-1].startswith(f'error: --port={port}: ')
    assert 'Traceback' not in ran.stderr


def test_a_piece_is_a_window_or_longer(model, tmp_path):
    ran = subprocess.run(
        command(f'--model={model}', f'--sessions={tmp_path}', '--seconds=0.01'),
        cwd=ROOT,
        env={**os.environ, 'JAX_PLATFORMS': 'cpu'},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 2
    assert '--seconds=0.01: allowed are 0.012 to 600 seconds' in ran.stderr
