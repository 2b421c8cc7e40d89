"""An autoencoder of the paper's shape: hop 320, 128 latent channels, 150 frames a second.

  python -m launch.train_autoencoder --config=configs/paper_autoencoder.py --workdir=ae \
      --config.data=data

From the paper: 48 kHz stereo, hop, latent channels, 5 % of the latent frames masked, losses in time
and frequency beside multi-resolution adversarial ones, moving average of the weights, whitening.
Ours: every width, depth and weight, which discriminators, the optimisers, the augmentation and the
MDCT at the front.
Of stride 40, it is a filterbank of 40 bands of 600 Hz: an orthonormal basis, in which nothing is
lost, inverted by a matrix product and overlap-add like the levels above it, and no layer works at
the sample rate. The decoder's gains and shapes serve at this stride as at the demo's.

For accelerators; it has not been trained, only built. Parameters, printed by the command as well:

  autoencoder                              64,085,480
  discriminators by period, each of five    8,218,593
  discriminators by spectrum, each of three    96,065
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` must be ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.data = 'data'  # from launch.prepare_data
    config.batch = 64
    config.accumulate = 1  # parts of a batch that are worked through one after another
    config.hop_samples = 320  # the product of model.strides, checked
    config.crop_frames = 300  # 2 s
    config.keep_silent = 0.1  # odds that a silent crop is kept rather than drawn again

    # What is done to the training crops; without this section nothing is.
    config.augment = ConfigDict()
    config.augment.gain_db = 6.0  # each stem by a uniform gain, so many dB either way
    config.augment.swap_channels = 0.5  # odds that left and right change places
    config.augment.mixed = 0.25  # odds that a crop is a sum of stems rather than one

    # Levels, from the sound to the latents: 1200, 300 and 150 frames a second.
    config.model = ConfigDict()
    config.model.strides = (40, 4, 2)
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
    config.losses.in_turn = False
    config.losses.floor = 1e-3
    config.losses.log_mel = 1.0
    config.losses.log_magnitude = 0.3
    config.losses.level = 0.0
    config.losses.waveform = 0.3

    config.optimizer = ConfigDict()
    config.optimizer.name = 'adamw'
    config.optimizer.peak_learning_rate = 5e-4
    config.optimizer.warmup_steps = 2000
    config.optimizer.schedule = 'linear'  # or cosine, constant, warmup_stable_decay, inverse_sqrt
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.optimizer.spike_factor = 0.0  # of the usual norm, above which a step is skipped; 0: none
    config.ema_decay = 0.9995

    # The discriminators; without this section there are none.
    config.adversary = ConfigDict()
    config.adversary.model = ConfigDict()
    config.adversary.model.periods = (2, 3, 5, 7, 11)
    config.adversary.model.period_channels = (32, 128, 512, 1024, 1024)
    config.adversary.model.sizes = (2048, 1024, 512)
    config.adversary.model.spectrum_channels = 32
    config.adversary.model.dilations = (1, 2, 4)
    config.adversary.model.compression = 0.3
    config.adversary.model.floor = 1e-3
    config.adversary.losses = ConfigDict()
    config.adversary.losses.adversarial = 0.15
    config.adversary.losses.feature_matching = 0.3
    config.adversary.losses.learns_from = 20_000
    config.adversary.losses.counts_from = 25_000
    config.adversary.losses.ramp_steps = 5000
    config.adversary.optimizer = ConfigDict()
    config.adversary.optimizer.name = 'adamw'
    config.adversary.optimizer.peak_learning_rate = 2e-4
    config.adversary.optimizer.warmup_steps = 0
    config.adversary.optimizer.b1 = 0.8
    config.adversary.optimizer.b2 = 0.99
    config.adversary.optimizer.weight_decay = 0.01
    config.adversary.optimizer.clip_norm = 1.0

    config.sharding = ConfigDict()
    config.sharding.strategy = 'fsdp'  # or dp, tp, fsdp_tp, hybrid, sp
    config.sharding.mesh = ''  # 'data=2,fsdp=4'; '': as the strategy has it

    config.loop = common_loop()
    config.loop.total_steps = 200_000
    config.loop.log_every = 100
    config.loop.evaluate_every = 5000
    config.loop.save_every_s = 600.0
    config.loop.keep_every_steps = 20_000  # steps between checkpoints kept for ever; 0: none

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 0  # all
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 128  # of each split
    return config
