"""Trains a composer on latents.

  python -m launch.train_composer --config=configs/demo.py --workdir=demo/composer

Any value of the config can be set: --config.batch=8, --config.sharding.strategy=fsdp. Interrupted,
the same command goes on where it was, bit for bit; run again when done, it returns at once. With
another batch it goes on at the example after the last. Other data are refused, unless

  python -m launch.train_composer --config=configs/demo.py --workdir=demo/composer \\
      --config.data.latents=demo/latents:3,more/latents:1 --allow_data_change

says that they may be others from here on; what changed is logged. With --config.init_from=DIR a
new run begins with the averaged weights of another one (configs/finetune.py), and what became of
each weight is in init_from.json of its workdir. --config.loop.demo_every=5000 makes pieces of the
three modes into demos/, and SIGUSR1 a profile of five steps into profile/.

Several processes are one run: started by srun, by mpirun, or on each machine of a TPU slice, they
find each other (launch/distributed.py); elsewhere each is told who it is, the last of two by

  python -m launch.train_composer --config=configs/demo.py --workdir=demo/composer \\
      --coordinator=first-machine:4321 --processes=2 --process=1

The workdir is one folder that all of them reach. Their number may change when a run goes on.
"""

import dataclasses
import json
import signal
import sys
from collections.abc import Iterable

from absl import flags
from ml_collections import config_flags

from jen1composer.training.signals import Signals
from launch import command, distributed, xla_presets

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Config, e.g. configs/demo.py:quick.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run: weights, metrics.')
_ALLOW_DATA_CHANGE = flags.DEFINE_bool(
    'allow_data_change', False, 'Go on with other data, their windows cut or chosen otherwise too.'
)

flags.adopt_module_key_flags(distributed)
flags.adopt_module_key_flags(xla_presets)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.training.checkpoints import NoCheckpoint, read_meta, refuse_other_run
    from jen1composer.training.files import write_whole
    from jen1composer.training.run import run_training
    from jen1composer.training.state import parameter_count
    from jen1composer.training.text import load_text_encoder
    from jen1composer.training.warm_start import summary
    from jen1composer.training.workdir import write_spec
    from launch.composer_data import DATA_KEYS
    from launch.composer_run import composer_run
    from launch.demos import make_demo

    xla_presets.apply()
    distributed.begin()
    first = distributed.is_first()
    command.use_compilation_cache()
    command.keep_freed_memory()
    workdir = epath.Path(command.folder('--workdir', _WORKDIR.value))
    checkpoints = workdir / 'checkpoints'
    try:
        begun = read_meta(checkpoints)
    except NoCheckpoint:
        begun = None
    assembled = composer_run(_CONFIG.value, begun)
    may_change = [*assembled.run.may_change, *([DATA_KEYS] if _ALLOW_DATA_CHANGE.value else [])]
    run = dataclasses.replace(assembled.run, may_change=may_change)
    changed = refuse_other_run(checkpoints, run.identity, may_change)  # before anything is written
    distributed.meet('nothing is written yet')
    if changed and first:
        print(f'changed from here on: {"; ".join(changed)}', file=sys.stderr)
    if first and not run.loop.synthetic_batches:
        assembled.codec.save(workdir / 'autoencoder')  # so that the workdir alone can make sound
        write_spec(workdir, assembled.spec)
        if assembled.begins_with:
            rows = [row._asdict() for row in assembled.begins_with]
            write_whole(workdir / 'init_from.json', f'{json.dumps(rows, indent=1)}\n'.encode())
            print(summary(assembled.begins_with), file=sys.stderr)

    def show(steps: Iterable[int]) -> Iterable[int]:
        return command.progress(steps, 'composer') if first else steps

    demo = None
    if run.loop.demo_every:
        spec = assembled.spec
        words = load_text_encoder(spec.text_encoder, max_tokens=spec.max_tokens)
        demo = make_demo(assembled, workdir, words)
    state = run_training(
        run,
        workdir,
        evaluate=assembled.evaluate,
        demo=demo,
        progress=show,
    )
    if first:
        print(json.dumps({'steps': int(state.step), 'parameters': parameter_count(state.params)}))


if __name__ == '__main__':
    flags.mark_flags_as_required(['config', 'workdir'])
    with Signals([signal.SIGUSR1]):  # it may come before there is a loop to be profiled
        command.run(main)
