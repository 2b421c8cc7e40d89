"""Commands of this project in several processes of this machine, as on a pod: gloo on the CPU."""

import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

ROOT = pathlib.Path(__file__).parents[2]
GIVE_UP_S = 400.0
QUICK_TO_COMPILE = (
    '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'  # half the time
)

# A module with what it prints in a file of its own: gloo's threads write to the standard output as
# well, and all at once, so that pieces of their lines are anywhere in it.
RUN = """
import runpy, sys
sys.stdout = open(sys.argv.pop(1), 'w', buffering=1)
runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)
"""


def start(
    flags: Sequence[str], processes: int, devices: int, logs: pathlib.Path
) -> list[subprocess.Popen]:
    """`python -m FLAGS...` in so many processes, each of so many devices; they write to `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:  # a port that nothing listens on
        probe.bind(('localhost', 0))
        address = f'localhost:{probe.getsockname()[1]}'
    environment = {
        **os.environ,
        'JAX_NUM_CPU_DEVICES': str(devices),
        'JAX_PLATFORMS': 'cpu',
        'TPU_SKIP_MDS_QUERY': '1',
        'XLA_FLAGS': QUICK_TO_COMPILE,
    }
    started = []
    for process in range(processes):
        which = [f'--coordinator={address}', f'--processes={processes}', f'--process={process}']
        printed = str(logs / f'{process}.out')
        with (logs / f'{process}.err').open('w') as err:
            started.append(
                subprocess.Popen(
                    [sys.executable, '-c', RUN, printed, *flags, *which],
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=err,
                )
            )
    return started


def wait(started: Sequence[subprocess.Popen]) -> list[int]:
    """Their exit statuses; one that ends badly ends the others, as on a pod."""
    until = time.monotonic() + GIVE_UP_S
    while any(process.poll() is None for process in started):
        failed = any(process.returncode not in (None, 0) for process in started)
        if failed or time.monotonic() > until:
            time.sleep(2)  # the others may say what it did to them
            kill(started)
        time.sleep(0.05)
    return [process.returncode for process in started]


def kill(started: Sequence[subprocess.Popen]) -> None:
    """Kills those that run, without a word to them."""
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    for process in started:
        process.wait()


def run(flags: Sequence[str], processes: int, devices: int, logs: pathlib.Path) -> list[str]:
    """Runs them to their good end; returns what each printed."""
    statuses = wait(start(flags, processes, devices, logs))
    if any(statuses):
        said = [(logs / f'{p}.err').read_text()[-3000:] for p in range(processes)]
        raise AssertionError(f'exit statuses {statuses}:\n' + '\n--\n'.join(said))
    return [(logs / f'{process}.out').read_text() for process in range(processes)]


def written(workdir: pathlib.Path) -> set[str]:
    """What there is in a workdir, but for the stacks, of which each process writes its own."""
    return {path.name for path in workdir.iterdir() if not path.name.startswith('stacks')}
