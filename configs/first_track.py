"""A newcomer's first experiment: one track from noise, nothing else known.

  python -m launch.train_composer --config=configs/first_track.py --workdir=first_track \
      --config.data.latents=demo/latents --config.data.autoencoder=demo/autoencoder

Every example asks for one track, the other three are marginalised, and no prompt is heard: the
smallest thing that has to work. 600 steps took 1 min 9 s on two virtual CPU cores. The loss has to
fall below that of a prediction of zero, which is where it begins; validation by step, and the mean
of the last 200 in training:

  the demo's 8 songs               0: 1.026   200: .897   400: .842   600: .821, in training .745
  the 48 songs of configs/tonal.py 0:  .969   200: .868   400: .820   600: .798, in training .803

(for the second line `--config.data.latents=tonal/latents --config.data.autoencoder=
tonal/autoencoder`).
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
