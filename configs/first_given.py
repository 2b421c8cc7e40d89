"""A newcomer's second experiment: one track to go with the others, which are always given.

  python -m launch.train_composer --config=configs/first_given.py --workdir=first_given \
      --config.data.latents=demo/latents --config.data.autoencoder=demo/autoencoder

The conditioning is fixed: every example has one target, and all the other tracks clean beside it.
With latents of two tracks that is one given and one target. It shares everything but this with
configs/first_track.py, so the difference of the two validation losses is what the given tracks
tell: it has to be above 0.
"""

from ml_collections import ConfigDict

from configs import first_track


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    config = first_track.get_config(arg)
    config.curriculum.p_given = 1.0
    return config
