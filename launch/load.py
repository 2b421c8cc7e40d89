"""How a server bears clients: each asks for a piece, waits, hears it, and asks for the next.

  python -m launch.load --url=http://127.0.0.1:8000 --clients=1,4,16,32 --out=load
  python -m launch.load --url=http://127.0.0.1:8000 --clients=8 --minutes=60 --out=soak

For each number of clients, for --minutes or --pieces of each: pieces a minute, the time from asking
to the sound at 50, 95 and 99 % of the pieces, how often the queue was full (a client then waits as
long as it is told to), and the server's memory in every tenth of that time. Clients with a session
do what people do: make, upload, make a part anew, mix and delete. Written to load.json, too.
"""

import collections
import concurrent.futures
import json
import math
import os
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

from launch import command
from launch.load_client import LoadClient

_URL = flags.DEFINE_string('url', 'http://127.0.0.1:8000', 'Where the server is.')
_CLIENTS = flags.DEFINE_list('clients', ['1', '2', '4', '8', '16', '32'], 'How many at a time.')
_PIECES = flags.DEFINE_integer('pieces', 4, 'Pieces of each client, where no minutes are given.', 1)
_MINUTES = flags.DEFINE_float('minutes', None, 'How long each number of clients goes on.')
_STEPS = flags.DEFINE_integer('steps', 20, 'Of the sampler.', 1)
_SECONDS = flags.DEFINE_float('seconds', None, 'Of a piece; if not given, one window.')
_SESSIONS = flags.DEFINE_bool('sessions', False, 'Clients work in sessions of their own.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.errors import BadInput

    out = epath.Path(command.folder('--out', _OUT.value))
    try:
        numbers = [int(number) for number in _CLIENTS.value]
    except ValueError:
        raise BadInput(f'--clients={",".join(_CLIENTS.value)}: allowed are numbers') from None
    client = LoadClient(_URL.value, os.environ.get('JEN1COMPOSER_TOKEN'))
    about = client.about()  # raises BadInput where there is no server
    rows = []
    for number in command.progress(numbers, 'numbers of clients'):
        rows.append(measure(number))
        print(line(rows[-1]), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    found = {'model': about['model'], 'steps': _STEPS.value, 'rows': rows}
    (out / 'load.json').write_text(json.dumps(found, indent=1) + '\n')


def measure(number: int) -> dict[str, Any]:
    """One row: `number` clients at a time."""
    memory: list[int] = []
    began = time.monotonic()
    until = None if _MINUTES.value is None else began + 60 * _MINUTES.value
    with concurrent.futures.ThreadPoolExecutor(number + 1) as pool:
        watch = LoadClient(_URL.value, os.environ.get('JEN1COMPOSER_TOKEN'))
        running = [pool.submit(one_client, k, until) for k in range(number)]
        pause_s = max(1.0, 6 * (_MINUTES.value or 0))
        while not all(client.done() for client in running):
            memory.append(watch.memory_bytes())
            concurrent.futures.wait(running, timeout=pause_s)
        memory.append(watch.memory_bytes())
    took_s = time.monotonic() - began
    latencies, full, ends = [], 0, collections.Counter[str]()
    for client in running:
        of_one, full_of_one, ends_of_one = client.result()
        latencies += of_one
        full += full_of_one
        ends += ends_of_one
    return {
        'clients': number,
        'pieces': len(latencies),
        'a_minute': round(60 * len(latencies) / took_s, 2),
        'p50_s': quantile(latencies, 0.5),
        'p95_s': quantile(latencies, 0.95),
        'p99_s': quantile(latencies, 0.99),
        'queue_full': full,
        'ends': dict(ends),
        'memory_mib': [round(value / 2**20) for value in memory],
    }


def one_client(number: int, until: float | None) -> tuple[list[float], int, Any]:
    """The latencies of a client, how often the queue was full, and how its jobs ended."""
    client = LoadClient(_URL.value, os.environ.get('JEN1COMPOSER_TOKEN'))
    latencies, ends = [], collections.Counter[str]()
    k = 0
    while k < _PIECES.value if until is None else time.monotonic() < until:
        began = time.monotonic()
        asked = {'seed': 1000 * number + k, 'steps': _STEPS.value}
        if _SESSIONS.value:
            end = client.work_in_session(asked)
        else:
            end = client.piece(asked | {'prompt': 'dark rock', 'seconds': _SECONDS.value})
        ends[end] += 1
        latencies.append(time.monotonic() - began)
        k += 1
    return latencies, client.times_full, ends


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    return round(sorted(values)[max(0, math.ceil(share * len(values)) - 1)], 3)


def line(row: dict[str, Any]) -> str:
    memory = row['memory_mib']
    times = ', '.join(f'{name.upper()} {row[f"{name}_s"]:.2f} s' for name in ('p50', 'p95', 'p99'))
    return (
        f'{row["clients"]:3} clients: {row["a_minute"]:7.1f} pieces a minute, {times}, '
        f'queue full {row["queue_full"]}, memory {memory[0]} to {memory[-1]} MiB, {row["ends"]}'
    )


if __name__ == '__main__':
    flags.mark_flags_as_required(['out'])
    command.run(main)
