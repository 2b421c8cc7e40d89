"""The demo's autoencoder: 25 latent frames a second of 64 channels, 2.3 M parameters.

  python -m launch.train_autoencoder --config=configs/demo_autoencoder.py \
      --workdir=demo/autoencoder --config.data=demo/data

The losses cost more than the network on a CPU, so their window sizes take turns, which makes room
for 1.6 times the steps; and the level is asked for, without which the decoded stems are too quiet.
Both against all sizes at once and no level, in short runs of equal processor time on 12 songs of
Freedoom (8 train, 2 validation, 2 test), in dB, validation and test:

                                             steps   log-mel distance   level, mean |error|
  all sizes at once                          250     4.21   4.04        4.75   3.47
  sizes in turn, level 0.1 (this file's)     400     4.13   3.89        2.15   1.51

What it does badly: pure tones unlike any in the eight songs come back with noise beside their
partials, more of it than the partials themselves at 220 Hz and above, and by 5 to 7 dB more in the
second of these runs. Its phase is invented. There are no discriminators: one by a spectrum of 1024
with 16 channels would alone take more than ten times as long as the rest of a step.

`configs/demo_autoencoder.py:quick` is the same model for a fraction of the steps, for tests.
"""

from ml_collections import ConfigDict


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is '' or 'quick'."""
    if arg not in ('', 'quick'):
        raise ValueError(f"argument {arg!r}; allowed are '' and 'quick'")
    quick = arg == 'quick'
    config = ConfigDict()
    config.seed = 0
    config.data = 'demo/data'  # from launch.prepare_data
    config.batch = 8
    config.hop_samples = 1920  # the product of model.strides, checked
    config.crop_frames = 18  # 0.72 s
    config.keep_silent = 0.1  # odds that a silent crop is kept rather than drawn again

    # Levels read downwards, from the sound to the latents: 100 frames a second, then 25.
    config.model = ConfigDict()
    config.model.strides = (480, 4)
    config.model.channels = (192, 256)
    config.model.encoder_blocks = (1, 1)
    config.model.decoder_blocks = (1, 2)
    config.model.latent_channels = 64
    config.model.kernel = 3
    config.model.bands = 24

    config.task = ConfigDict()
    config.task.masked_share = 0.05
    config.task.noise = 0.3
    config.task.latent_penalty = 0.01

    config.losses = ConfigDict()
    config.losses.sizes = (2048, 512, 128)
    config.losses.floor = 1e-3
    config.losses.log_mel = 1.0
    config.losses.log_magnitude = 0.3
    config.losses.level = 0.03
    config.losses.waveform = 0.0

    config.optimizer = ConfigDict()
    config.optimizer.name = 'muon'
    config.optimizer.peak_learning_rate = 2e-3
    config.optimizer.warmup_steps = 20 if quick else 50
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.ema_decay = 0.95 if quick else 0.99

    config.sharding = ConfigDict()
    config.sharding.strategy = 'dp'  # or fsdp
    config.sharding.data = -1  # devices along each mesh axis; -1 takes what is left
    config.sharding.fsdp = 1

    config.loop = ConfigDict()
    config.loop.total_steps = 150 if quick else 900
    config.loop.log_every = 25 if quick else 50
    config.loop.evaluate_every = 150 if quick else 300
    config.loop.save_every_s = 30.0

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 24
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 8 if quick else 32  # of each split
    return config
