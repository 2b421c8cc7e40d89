"""A newcomer's first experiment: one track from noise, nothing else known.

  python -m launch.train_composer --config=configs/first_track.py --workdir=first_track \
      --config.data.latents=demo/latents --config.data.autoencoder=demo/autoencoder

Every example asks for one track, the other three are marginalised, and no prompt is heard: the
smallest thing that has to work. 600 steps are two to three minutes by the step time of
configs/demo.py, .16 to .27 s on two CPU cores of its own. The validation loss has to fall below
that of a prediction of zero, about 1.03.
"""

from ml_collections import ConfigDict

from configs import demo


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = demo.get_config()
    config.curriculum.stage_steps = (600,)
    config.curriculum.target_shares = ((1, 0, 0, 0),)
    config.curriculum.p_given = 0.0
    config.curriculum.kinds = (1, 0, 0)
    config.curriculum.p_causal = 0.0
    config.diffusion.prompt_dropout = 1.0
    config.loop.evaluate_every = 200
    return config
