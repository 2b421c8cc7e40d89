"""Trains an autoencoder on prepared music, and makes the codec of it.

  python -m launch.train_autoencoder --config=configs/demo_autoencoder.py --workdir=ae \
      --config.data=data

Any value of the config can be set: --config.batch=8, --config.optimizer.peak_learning_rate=1e-3.
Interrupted, the same command goes on where it was; run again when done, it returns at once, or
makes the codec and the report again where what the config says of these has changed. Writes

  WORKDIR/codec/         the weights and the whitening of their latents, for encode_latents
  WORKDIR/metrics.jsonl  each loss term, and the log-mel distance on validation songs
  WORKDIR/heldout.json   what of unheard songs survives the codec, beside two baselines, and how
                         white the latents are of the songs that were fitted and of others

Several processes are one run, as train_composer says; the workdir is a folder that all reach.
"""

import functools
import json
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import config_flags

from jen1composer.training.signals import Signals
from launch import command, distributed, xla_presets

if TYPE_CHECKING:
    from etils import epath

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'Config, e.g. configs/demo_autoencoder.py:quick.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the run.')

flags.adopt_module_key_flags(distributed)
flags.adopt_module_key_flags(xla_presets)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.models.whitening import whiteness
    from jen1composer.training import hosts
    from jen1composer.training.codec import IN_WORKDIR
    from jen1composer.training.files import write_whole
    from jen1composer.training.run import run_training
    from launch.autoencoder_run import autoencoder_run

    xla_presets.apply()
    distributed.begin()
    first = distributed.is_first()
    command.use_compilation_cache()
    workdir = epath.Path(_WORKDIR.value)
    assembled = autoencoder_run(_CONFIG.value)
    counts = assembled.parameter_counts

    def show(of: Iterable[Any], desc: str) -> Iterable[Any]:
        return command.progress(of, desc) if first else of

    if first:
        print('parameters:', ', '.join(f'{k} {v:,}' for k, v in counts.items()), file=sys.stderr)
    state = run_training(
        assembled.run,
        workdir,
        evaluate=assembled.evaluate,
        progress=functools.partial(show, desc='autoencoder'),
    )
    if assembled.run.loop.synthetic_batches:
        return  # of such weights no codec is made
    weights = hosts.fetch(assembled.weights(state))

    # What is left is a little work without the others: each process does it, and the first writes.
    report_path = workdir / 'heldout.json'  # written last: where it is, all is done
    if _read(report_path).get('made_with') != assembled.after_training:
        sums = {
            split: assembled.statistics(
                weights, split, functools.partial(show, desc=f'{split} latents')
            )
            for split in ('train', 'validation')
        }
        codec = assembled.codec(weights, sums['train'])
        report = {
            'steps': int(state.step),
            'parameters': counts.pop('autoencoder'),
            'discriminator_parameters': counts,
            'hop_samples': codec.hop_samples,
            'latent_channels': codec.latent_channels,
            'fingerprint': codec.fingerprint,
            **assembled.report(codec),
            'whiteness': {split: whiteness(sums[split], codec.whitening) for split in sums},
            'made_with': assembled.after_training,
        }
        if first:
            codec.save(workdir / IN_WORKDIR)
            write_whole(report_path, (json.dumps(report, indent=1) + '\n').encode())
    if first:
        print(report_path.read_text(), end='')


def _read(report: 'epath.Path') -> Mapping[str, Any]:
    """The report, or nothing where there is none or half of one."""
    try:
        return dict(json.loads(report.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


if __name__ == '__main__':
    flags.mark_flags_as_required(['config', 'workdir'])
    with Signals([signal.SIGUSR1]):  # it may come before there is a loop to be profiled
        command.run(main)
