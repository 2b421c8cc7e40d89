"""Measures speed: how fast training data is read.

Example:

    python -m launch.benchmark --out=/tmp/benchmark
    python -m launch.benchmark --out=/tmp/benchmark --data=data --latents=latents \\
        --workdir=composer

Without folders it makes some of noise, in the shape of the demo's data and of the paper's, kept
in OUT/noise. Each kind of data is read as training reads it, as bytes alone (the limit) and
cold, in turn and several times; a figure is a median (launch/loader_benchmark.py). Beside it stands
what two composers eat: the demo's at its step, and the paper's where this host's devices sustain
--tflops; how long the demo would wait for its data, and with --workdir how long a training did.
Prints tables, and writes OUT/benchmark.json.
"""

import json

from absl import flags

from launch import command

OUT = flags.DEFINE_string('out', None, 'Folder for the results.', required=True)
DATA = flags.DEFINE_string('data', None, 'A prepared folder to read instead of noise.')
LATENTS = flags.DEFINE_string('latents', None, 'A folder of latents to read instead of noise.')
WORKDIR = flags.DEFINE_string('workdir', None, 'Of train_composer: its steps and waits are told.')
REPEATS = flags.DEFINE_integer('repeats', 5, 'Rounds that count.', lower_bound=1)
BATCHES = flags.DEFINE_integer('batches', 40, 'Batches of 16 a round.', lower_bound=2)
THREADS = flags.DEFINE_integer('threads', 2, 'Threads that read.', lower_bound=1)
TFLOPS = flags.DEFINE_float(
    'tflops', 128.0, 'TFLOP/s that the devices sustain.', lower_bound=1e-3, upper_bound=1e9
)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from launch.data_description import terminal
    from launch.loader_report import measure_all, tables

    command.keep_freed_memory()  # as training does
    out = epath.Path(command.folder('--out', OUT.value))
    out.mkdir(parents=True, exist_ok=True)
    found = measure_all(
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
    print(terminal(tables(found)))
    (out / 'benchmark.json').write_text(json.dumps(found, indent=1) + '\n')
    print(json.dumps({'json': str(out / 'benchmark.json')}))


if __name__ == '__main__':
    command.run(main)
