"""How long it takes to start: to import, to a first training step, to a first sound.

Each is measured in a process of its own, `repeats` times, and told as the median:

    import       the package with all that a composer needs, JAX included
    first step   from the start of the process to the end of the demo composer's first step
    first sound  from the start of the process to the decoded piece, of 5 steps, of a composer

The last two with an empty compilation cache (cold) and again with what that run left in it (warm).
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jen1composer.errors import RunFailed
from jen1composer.evaluation.page import Table

ROOT = pathlib.Path(__file__).parents[1]
IMPORT = 'import jen1composer.generation.composer'
FIRST_STEP = """
from configs import demo
from launch.train_cases import Trainer
Trainer(demo.get_config(), ('muon',)).times('muon', 1)
"""
FIRST_SOUND = """
from jen1composer.generation.composer import Composer
from jen1composer.generation.request import Request
Composer.load({workdir!r}).compose(Request(prompt='slow jazz', seconds=5.12, num_steps=5))
"""

Found = dict[str, Any]  # JSON


def measure_start(
    workdir: str | None, *, repeats: int, progress: Callable[..., Iterable[Any]]
) -> Found:
    """Medians of seconds, by name.

    Args:
        workdir: of the composer that makes the first sound; None is that of the package.
        repeats: of each.
        progress: `launch.command.progress`.
    """
    first_sound = FIRST_SOUND.format(workdir=workdir)
    found: dict[str, list[float]] = {}
    for _ in progress(range(repeats), desc='start'):
        found.setdefault('import', []).append(seconds_of(IMPORT, {}))
        for name, code in (('first step', FIRST_STEP), ('first sound', first_sound)):
            with tempfile.TemporaryDirectory() as cache:
                given = {
                    'JAX_COMPILATION_CACHE_DIR': cache,
                    'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
                }
                for state in ('cold', 'warm'):
                    found.setdefault(f'{name}, {state}', []).append(seconds_of(code, given))
    return {'repeats': repeats, 'seconds': {k: statistics.median(v) for k, v in found.items()}}


def seconds_of(code: str, environment: Mapping[str, str]) -> float:
    """Wall time of a Python that runs `code`; raises RunFailed where it fails."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RunFailed(f'a start that was timed failed: {ended.stderr.strip().splitlines()[-1]}')
    return time.perf_counter() - began


def tables(found: Found) -> list[Table]:
    """The same for people."""
    rows = [[name, f'{seconds:.1f}'] for name, seconds in found['seconds'].items()]
    return [Table(title='Start, a process each', header=('until', 's'), rows=rows)]
