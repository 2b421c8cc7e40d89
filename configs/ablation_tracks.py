"""What one more track costs: the demo's composer over 1 to 8 tracks.

python -m launch.ablate --config=configs/ablation_tracks.py --workdir=ablation_tracks
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
