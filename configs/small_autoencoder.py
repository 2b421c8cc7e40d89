"""A small autoencoder: Freedoom, 32 channels kept, 2.9 M parameters (configs/small.py).

  python -m launch.train_autoencoder --config=configs/small_autoencoder.py \
      --workdir=small/autoencoder --config.data=small/data

The demo's autoencoder (configs/demo_autoencoder.py, which says what was tried) with a wider inner
level, trained four times as long on the 48 training songs of Freedoom (131 min). On two
virtual CPU cores that other work was using as well a step took .15 to .3 s: 12 min 17 s of
training, and two minutes for the whitening, fitted on every latent of the training songs, and the
report. Measured on 12 validation and 12 test songs, in dB:

                                        validation   test
  log-mel distance, decoded             2.94         3.18
                    latents disturbed   3.10         3.33
                    decoded noise       10.61        10.76
                    mean spectrum       9.24         9.56
  level, mean |error| of a stem         0.45         0.86

by step, validation, and still falling at the end:
  0: 15.92, 600: 3.43, 1200: 3.22, 1800: 3.13, 2400: 3.04, 3000: 2.98, 3600: 2.94
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.data = 'small/data'  # from launch.prepare_data
    config.batch = 8
    config.accumulate = 1  # parts of a batch that are worked through one after another
    config.hop_samples = 1920  # the product of model.strides, checked
    config.crop_frames = 18  # 0.72 s
    config.keep_silent = 0.1  # odds that a silent crop is kept rather than drawn again

    # Levels read downwards, from the sound to the latents: 100 frames a second, then 25.
    config.model = ConfigDict()
    config.model.strides = (480, 4)
    config.model.channels = (192, 320)
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
    config.optimizer.warmup_steps = 100
    config.optimizer.schedule = 'linear'  # or cosine, constant, warmup_stable_decay, inverse_sqrt
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.optimizer.spike_factor = 0.0  # of the usual norm, above which a step is skipped; 0: none
    config.ema_decay = 0.995

    config.sharding = ConfigDict()
    config.sharding.strategy = 'dp'  # or fsdp, tp, fsdp_tp, hybrid, sp
    config.sharding.mesh = ''  # 'data=2,fsdp=4'; '': as the strategy has it

    config.loop = common_loop()
    config.loop.total_steps = 3600
    config.loop.log_every = 50
    config.loop.evaluate_every = 600
    config.loop.save_every_s = 120.0
    config.loop.keep_every_steps = 0  # steps between checkpoints kept for ever; 0: none

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 32
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 32  # of each split
    return config
