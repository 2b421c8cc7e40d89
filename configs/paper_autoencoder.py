"""An autoencoder of the paper's shape: hop 320, 128 latent channels, 150 frames a second.

  python -m launch.train_autoencoder --config=configs/paper_autoencoder.py --workdir=ae \
      --config.data=data --config.sharding.strategy=fsdp

From the paper: 48 kHz stereo, hop, latent channels, 5 % of the latent frames masked, the moving
average of the weights, whitening. Ours: every width and depth, the MDCT at the front, the losses
(the paper adds an adversarial one, which is not here), the optimiser. For accelerators; it has not
been trained, only built: 64 M parameters.
"""

from ml_collections import ConfigDict


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.data = 'data'  # from launch.prepare_data
    config.batch = 64
    config.crop_frames = 300  # 2 s
    config.keep_silent = 0.1  # odds that a silent crop is kept rather than drawn again

    # Levels, from the sound to the latents: 1200, 300 and 150 frames a second.
    config.model = ConfigDict()
    config.model.strides = (40, 4, 2)  # hop of 320 samples
    config.model.channels = (384, 768, 1024)
    config.model.encoder_blocks = (2, 2, 2)
    config.model.decoder_blocks = (2, 3, 3)
    config.model.latent_channels = 128
    config.model.kernel = 5
    config.model.bands = 12
    config.model.band_corner_hz = 3000.0

    config.task = ConfigDict()
    config.task.masked_share = 0.05
    config.task.noise = 0.3
    config.task.latent_penalty = 0.01

    config.losses = ConfigDict()
    config.losses.sizes = (4096, 2048, 1024, 512, 256, 128)
    config.losses.floor = 1e-3
    config.losses.log_mel = 1.0
    config.losses.log_magnitude = 0.3
    config.losses.waveform = 0.3

    config.optimizer = ConfigDict()
    config.optimizer.peak_learning_rate = 5e-4
    config.optimizer.warmup_steps = 2000
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.ema_decay = 0.9995

    config.sharding = ConfigDict()
    config.sharding.strategy = 'dp'  # or fsdp
    config.sharding.data = -1  # devices along each mesh axis; -1 takes what is left
    config.sharding.fsdp = 1

    config.loop = ConfigDict()
    config.loop.total_steps = 200_000
    config.loop.log_every = 100
    config.loop.evaluate_every = 5000
    config.loop.save_every_s = 600.0

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 0  # all
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 128  # of each split
    return config
