"""Training, killed: whatever the moment, also within a save, it goes on from a whole checkpoint.

KILLS=20 .venv/bin/python -m pytest -n 0 tests/jen1composer/training/test_killed.py   # 3 minutes
"""

import os
import pathlib
import subprocess
import sys
import time

import numpy as np
from etils import epath

from jen1composer.training.checkpoint_folder import checkpoint_steps, half_written
from jen1composer.training.checkpoint_manifest import damage
from tests.jen1composer.training import toy

KILLS = int(os.environ.get('KILLS', '3'))
TOTAL = 20 * KILLS


def test_killed_at_random_moments_it_ends_the_same(tmp_path: pathlib.Path):
    """It saves at each step. Every other kill waits for a save to be under way."""
    random = np.random.default_rng(0)
    folder = epath.Path(tmp_path) / 'run' / 'state'
    command = [sys.executable, '-m', toy.__name__, str(tmp_path / 'run'), str(TOTAL), '0']
    begun, within, newest = [], 0, 0
    for kill in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            first = int(process.stdout.readline())
            begun.append(first)
            last = first + int(random.integers(2, 8))
            while int(process.stdout.readline()) < last:
                pass
            time.sleep(random.uniform(0, 0.1))
            give_up = time.monotonic() + 20
            while kill % 2 == 0 and not half_written(folder) and time.monotonic() < give_up:
                time.sleep(0.0005)
            process.kill()
        steps = checkpoint_steps(folder)
        within += bool(half_written(folder))
        assert [damage(folder / str(step)) for step in steps] == [None] * len(steps)
        assert first == newest < steps[-1]
        newest = steps[-1]
    assert within >= 1
    print(f'{KILLS} kills, {within} within a save; went on from {begun[1:]}')
    found = toy.run(tmp_path / 'run', TOTAL, save_every_s=1e9)
    toy.assert_bit_equal(found, toy.run(tmp_path / 'whole', TOTAL, save_every_s=1e9))
