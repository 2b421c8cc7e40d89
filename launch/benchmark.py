"""Measures speed: of reading training data, of training, or of serving many requests.

Example:

    python -m launch.benchmark --out=/tmp/benchmark
    python -m launch.benchmark --out=/tmp/benchmark --data=data --latents=latents \\
        --workdir=composer
    python -m launch.benchmark --out=/tmp/benchmark --only=engine --workdir=composer
    python -m launch.benchmark --out=/tmp/benchmark --only=all --peer=torch \\
        --peer_python=/tmp/torch-venv/bin/python

Of the data (--only=data, the default): without folders it makes some of noise, in the shape of the
demo's data and of the paper's, kept in OUT/noise. Each kind of data is read as training reads it,
as bytes alone (the limit) and cold, in turn and several times; a figure is a median
(launch/loader_benchmark.py). Beside it stands what two composers eat: the demo's at its step, and
the paper's where this host's devices sustain --tflops; how long the demo would wait for its data,
and with --workdir how long a training did. Writes OUT/benchmark.json.

Of serving (--only=engine): --clients ask --workdir's composer, or one of the demo's shape with
random weights, for a piece each and then the next, served one by one and by continuous batching
(launch/engine_benchmark.py): requests a second and latencies. Writes OUT/engine.json.

Of the models themselves (launch/speed_parts.py), one by one or with --only=all: steps of training
(train), with --peer=torch beside the same networks in PyTorch, and always beside what the machine
can multiply; a step of eight tracks beside one (tracks); sampling by --workdir's composer, or the
package's; and how long it takes to start. Writes OUT/PART.json and OUT/speed.html.

Prints tables.
"""

import json
import os
from typing import Any

from absl import flags

from launch import command

SPEED = ('train', 'tracks', 'sampling', 'start')  # launch/speed_parts.py

OUT = flags.DEFINE_string('out', None, 'Folder for the results.', required=True)
ONLY = flags.DEFINE_enum('only', 'data', ['data', 'engine', *SPEED, 'all'], 'What is measured.')
PEER = flags.DEFINE_enum('peer', None, ['torch'], 'What training is compared with.')
PEER_PYTHON = flags.DEFINE_string('peer_python', None, 'A Python that has PyTorch, for --peer.')
DTYPE = flags.DEFINE_enum(
    'dtype', 'float32', ['float32', 'bfloat16'], 'Arithmetic of the composers that are trained.'
)
CASES = flags.DEFINE_list(
    'cases',
    [],
    'What is trained: composer, autoencoder, large composer (these if not given), or '
    'paper composer, with an accelerator.',
)
MUON = flags.DEFINE_bool('muon', True, "Ours with the configs' own optimiser too, beside AdamW.")
QUICK = flags.DEFINE_bool('quick', False, 'The least of all, to see that it works.')
DATA = flags.DEFINE_string('data', None, 'A prepared folder to read instead of noise.')
LATENTS = flags.DEFINE_string('latents', None, 'A folder of latents to read instead of noise.')
WORKDIR = flags.DEFINE_string(
    'workdir',
    None,
    'Of train_composer: its steps and waits are told; with --only=engine it serves.',
)
REPEATS = flags.DEFINE_integer('repeats', 5, 'Rounds that count.', lower_bound=1)
BATCHES = flags.DEFINE_integer('batches', 40, 'Batches of 16 a round.', lower_bound=2)
THREADS = flags.DEFINE_integer('threads', 2, 'Threads that read.', lower_bound=1)
TFLOPS = flags.DEFINE_float(
    'tflops', 128.0, 'TFLOP/s that the devices sustain.', lower_bound=1e-3, upper_bound=1e9
)
CLIENTS = flags.DEFINE_list('clients', ['1', '2', '4', '8', '16', '32'], 'That ask at a time.')
SLOTS = flags.DEFINE_list('slots', ['8'], 'Of the engine; a request with a prompt takes two.')
REQUESTS = flags.DEFINE_integer(
    'requests', 16, 'At each number of clients, at least one a client.', lower_bound=1
)
STEPS = flags.DEFINE_integer('steps', 50, 'Of the sampler.', lower_bound=1)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from launch.data_description import terminal

    command.keep_freed_memory()  # as training does
    out = epath.Path(command.folder('--out', OUT.value))
    out.mkdir(parents=True, exist_ok=True)
    if ONLY.value in (*SPEED, 'all'):
        print(terminal(_speed(out)))
        print(json.dumps({'html': str(out / 'speed.html')}))
        return
    if ONLY.value == 'engine':
        clients, slots = _counts('--clients', CLIENTS.value), _counts('--slots', SLOTS.value)
        from launch import engine_benchmark

        found = engine_benchmark.measure_engine(
            engine_benchmark.composer_of(WORKDIR.value),
            clients=clients,
            slots=slots,
            requests=REQUESTS.value,
            num_steps=STEPS.value,
            progress=command.progress,
        )
        shown, path = engine_benchmark.tables(found), out / 'engine.json'
    else:
        from launch import loader_report

        found = loader_report.measure_all(
            out / 'noise',
            data=DATA.value,
            latents=LATENTS.value,
            workdir=WORKDIR.value,
            repeats=REPEATS.value,
            num_batches=BATCHES.value,
            threads=THREADS.value,
            tflops=TFLOPS.value,
            progress=command.progress,
        )
        shown, path = loader_report.tables(found), out / 'benchmark.json'
    print(terminal(shown))
    path.write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps({'json': str(path)}))


def _speed(out: Any) -> Any:
    if PEER.value:  # which needs its part of the memory that JAX would take at once
        os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')
    from jen1composer.errors import require
    from launch.speed_parts import Options, measure_parts
    from launch.train_cases import CASES as KNOWN

    trained = ONLY.value in ('train', 'all')
    require(trained or not CASES.value, '--cases', CASES.value, 'is for --only=train or all')
    for case in CASES.value:
        require(case in KNOWN, '--cases', case, f'are {", ".join(KNOWN)}')

    require(
        bool(PEER.value) == bool(PEER_PYTHON.value),
        '--peer_python',
        PEER_PYTHON.value,
        'is a Python that has PyTorch, together with --peer=torch',
    )
    options = Options(
        peer_python=PEER_PYTHON.value,
        workdir=WORKDIR.value,
        rounds=REPEATS.value,
        dtype=DTYPE.value,
        cases=list(dict.fromkeys(CASES.value)),
        muon=MUON.value,
        quick=QUICK.value,
        progress=command.progress,
    )
    return measure_parts(SPEED if ONLY.value == 'all' else (ONLY.value,), options, out)


def _counts(flag: str, values: list[str]) -> tuple[int, ...]:
    from jen1composer.errors import require

    for value in values:
        require(value.isdecimal() and int(value) >= 1, flag, value, 'are whole numbers from 1 on')
    return tuple(map(int, values))


if __name__ == '__main__':
    command.run(main)
