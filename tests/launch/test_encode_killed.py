"""Encoding, killed: whatever the moment, the same command goes on and ends the same.

KILLS=10 .venv/bin/python -m pytest tests/launch/test_encode_killed.py     # about two minutes
"""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from data_pipeline.latents import Latents
from data_pipeline.records import RATE
from jen1composer.errors import BadInput
from tests.data_pipeline.prepared_folder import make_prepared, song
from tests.jen1composer import tiny_codec

pytestmark = pytest.mark.slow
ROOT = pathlib.Path(__file__).parents[2]
KILLS = int(os.environ.get('KILLS', '3'))
NUM_SONGS = 24


def command(folder: pathlib.Path, out: str) -> list[str]:
    flags = {
        'autoencoder': folder / 'codec',
        'data': folder / 'data',
        'out': folder / out,
        'clip_s': 1,
        'clips_per_shard': 1,
    }
    named = [f'--{name}={value}' for name, value in flags.items()]
    return [sys.executable, '-m', 'launch.encode_latents', *named]


def shards(folder: pathlib.Path) -> dict[str, int]:
    """The whole shards, with the time at which each was written."""
    return {p.name: p.stat().st_mtime_ns for p in folder.glob('clips/*.array_record')}


def test_killed_at_random_moments_it_ends_the_same(tmp_path: pathlib.Path):
    random = np.random.default_rng(0)
    stems = {f's{k}': random.uniform(-0.3, 0.3, (4, 3 * RATE + k, 2)) for k in range(NUM_SONGS)}
    make_prepared(tmp_path / 'data', [song(name) for name in stems], stems)
    tiny_codec.codec().save(tmp_path / 'codec')
    subprocess.run(command(tmp_path, 'undisturbed'), cwd=ROOT, check=True, capture_output=True)

    out, kept = tmp_path / 'out', dict[str, int]()
    most = NUM_SONGS // KILLS
    for _ in range(KILLS):
        process = subprocess.Popen(
            command(tmp_path, 'out'), cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wanted, give_up = len(kept) + int(random.integers(1, most)), time.monotonic() + 120
        while len(shards(out)) < wanted and time.monotonic() < give_up:
            time.sleep(0.0005)
        time.sleep(random.uniform(0, 0.02))  # Somewhere within a shard.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10)
        now = shards(out)
        assert kept.items() <= now.items()  # What was whole was not written again.
        assert len(kept) < len(now) < NUM_SONGS
        with pytest.raises(BadInput, match='not a folder of latents'):
            Latents(out)
        kept = now

    subprocess.run(command(tmp_path, 'out'), cwd=ROOT, check=True, capture_output=True)
    assert kept.items() <= shards(out).items()
    files = [
        {str(p.relative_to(f)): p.read_bytes() for p in f.rglob('*') if p.is_file()}
        for f in (out, tmp_path / 'undisturbed')
    ]
    assert len(files[0]) == NUM_SONGS + 5
    assert files[0] == files[1]
