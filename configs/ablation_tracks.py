"""What one more track costs: the demo's composer over 1 to 8 tracks.

  python -m launch.ablate --config=configs/ablation_tracks.py --workdir=ablation_tracks

72 s on two idle virtual CPU cores; steps of 16 windows of 128 frames, 50 evaluations on one:

  tracks                      1     2     3     4     5     6     7     8
  M parameters             1.79  1.83  1.86  1.90  1.94  1.98  2.01  2.05
  GFLOP a step              8.8   9.1   9.4   9.6   9.9  10.2  10.5  10.8
  MiB in training            91    93    96    98   100   103   106   108
  step, of that of one     1.00  1.01  1.01  1.06  1.09  1.11  1.13  1.15
  sampling, likewise       1.00  1.04  1.01  1.04  1.04  1.04  1.08  1.16

A model for each track takes as many times the parameters, operations, memory and time of one.
"""

from ml_collections import ConfigDict

from configs import demo


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is '' or 'quick', a narrow network timed twice."""
    if arg not in ('', 'quick'):
        raise ValueError(f"argument {arg!r}; allowed are '' and 'quick'")
    quick = arg == 'quick'
    config = ConfigDict({'title': 'What one more track costs', 'subject': 'tracks'})
    config.base = demo.get_config()
    config.tracks = (1, 2) if quick else (1, 2, 3, 4, 5, 6, 7, 8)
    config.rounds = 2 if quick else 10
    config.sampler_steps = 50
    config.latent_channels = 24  # the demo's
    if quick:
        config.base.batch = 2
        config.base.data.window_frames = 16
        config.base.model.channels = (32, 32, 32)
    return config
