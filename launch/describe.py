"""Says how large a network is and what a training step of it takes, without any data.

  python -m launch.describe --config=configs/demo.py
  python -m launch.describe --config=configs/paper_composer.py --batch=1 \
      --latent_channels=128 --text_width=1024 --out=paper.json

Takes a config of train_composer or of train_autoencoder. Nothing is allocated: weights are known by
their shapes, and the step is lowered but, without --compile, not compiled. What the data would tell
a composer is told by flags. Prints JSON:

  parameters   of the network, and by part
  flops        of one forward pass, by part, and of the gradient of what the network gives, both
               counted from the config (jen1composer/models/flops.py) and as XLA counts them in the
               lowered program, within a twentieth of each other. What is computed a second time
               instead of being kept is in both. The whole training step XLA alone counts: it has
               the losses, discriminators, optimiser and average on top. Muon takes products of
               matrices too, 5 (4 a^2 b + 2 a^3) for a weight of a by b, a <= b, whatever the batch
  bytes        of weights, gradients, optimiser and average, and of what the gradient keeps of the
               forward pass, before XLA arranges it
  compiled     with --compile: XLA's count and its bytes, for the device at hand
"""

import json

from absl import flags
from ml_collections import config_flags

from launch import command, given_by_data

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Config, e.g. configs/demo.py.')
_OUT = flags.DEFINE_string('out', None, 'File for the JSON, beside printing it.')
_COMPILE = flags.DEFINE_bool('compile', False, 'Compile the step as well.')
flags.adopt_module_key_flags(given_by_data)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.errors import BadInput
    from launch.description import GivenByData, describe, subject_of

    config = given_by_data.with_batch(_CONFIG.value)
    subject = subject_of(config, GivenByData(**given_by_data.given()), given_by_data.frames())
    text = json.dumps(describe(subject, compile_too=_COMPILE.value), indent=1)
    if _OUT.value:
        try:
            epath.Path(_OUT.value).write_text(text + '\n')
        except OSError as error:
            raise BadInput(f'--out={_OUT.value}: {error.strerror}; allowed is a file') from error
    print(text)


if __name__ == '__main__':
    flags.mark_flag_as_required('config')
    command.run(main)
