"""Trains a composer on latents.

  python -m launch.train_composer --config=configs/demo.py --workdir=demo/composer

Any value of the config can be set: --config.batch=8, --config.sharding.strategy=fsdp. Interrupted,
the same command goes on where it was, bit for bit; run again when done, it returns at once.
"""

import json
from collections.abc import Iterable

from absl import flags
from ml_collections import config_flags

from launch import command

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Config, e.g. configs/demo.py:quick.')
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run: weights, metrics.')


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.training.checkpoints import refuse_other_run
    from jen1composer.training.run import run_training
    from jen1composer.training.state import parameter_count
    from jen1composer.training.workdir import write_spec
    from launch.composer_run import composer_run

    command.use_compilation_cache()
    workdir = epath.Path(command.folder('--workdir', _WORKDIR.value))
    assembled = composer_run(_CONFIG.value)
    refuse_other_run(workdir / 'checkpoints', assembled.run.identity)  # before anything is written
    assembled.codec.save(workdir / 'autoencoder')  # so that the workdir alone can make sound
    write_spec(workdir, assembled.spec)

    def show(steps: Iterable[int]) -> Iterable[int]:
        return command.progress(steps, 'composer')

    state = run_training(assembled.run, workdir, evaluate=assembled.evaluate, progress=show)
    print(json.dumps({'steps': int(state.step), 'parameters': parameter_count(state.params)}))


if __name__ == '__main__':
    flags.mark_flags_as_required(['config', 'workdir'])
    command.run(main)
