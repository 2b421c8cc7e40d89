"""A newcomer's third experiment: the whole curriculum, one to four targets, with text.

  python -m launch.train_composer --config=configs/first_curriculum.py --workdir=first_curriculum \
      --config.data.latents=demo/latents --config.data.autoencoder=demo/autoencoder

Four stages: half of each is on its newest number of targets, the rest spread evenly over the
earlier ones, which are retained. `python -m launch.curriculum --config=configs/first_curriculum.py
--out=curriculum` shows what is asked for. 1200 steps took 3 min on two virtual CPU cores.
Validation, by step, of one to four targets with and without others given:

  the demo's 8 songs               0: 1.031   400: .852   600: .802   800: .783   1200: .764
  the 48 songs of configs/tonal.py 0:  .994   400: .861   600: .817   800: .787   1200: .755

After it comes configs/demo.py, which has inpainting and continuation too.
"""

from ml_collections import ConfigDict

from configs import first_track


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    config = first_track.get_config(arg)
    config.curriculum.stage_steps = (200, 200, 300, 500)
    config.curriculum.target_shares = (
        (1, 0, 0, 0),
        (1, 1, 0, 0),
        (1, 1, 2, 0),
        (1, 1, 1, 3),
    )
    config.curriculum.p_given = 0.5
    config.diffusion.prompt_dropout = 0.2
    return config
