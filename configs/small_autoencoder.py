"""The demo's autoencoder: 25 latent frames a second, 24 of 64 channels kept, 2.3 M parameters.

  python -m launch.train_autoencoder --config=configs/demo_autoencoder.py \
      --workdir=demo/autoencoder --config.data=demo/data

On two virtual CPU cores of its own a step takes .21 to .38 s, as the day is; with compiling, the
whitening, fitted on every latent of the training songs, and the report, the command takes 245 to
429 s. Measured on 12 songs of Freedoom (8 train,
2 validation, 2 test), in dB:

                                        validation   test
  log-mel distance, decoded             3.19         3.17
                    latents disturbed   3.34         3.32
                    decoded noise       10.24        9.68
                    mean spectrum       9.09         8.26
  level, mean |error| of a stem         1.46         0.64

by step, validation: 0: 16.43, 300: 3.53, 600: 3.28, 900: 3.19. With AdamW in the same
time (1500 steps of .12 s, no level) it was 3.51 and 3.37, level errors 3.18 and 2.04, and only 8 of
the 64 channels said anything: the others moved less than the noise that the decoder is trained to
bear. Muon learns about 24; leaving the rest out cost .003 dB.

Tried and left: window sizes in turn (a tenth less time a step under Muon, but 3.21 after 1400), a
level of .1 (.14 dB worse than none after 500 steps), strides of (960, 2) (.33 dB worse after 300),
three Newton-Schulz steps instead of five (a fifth less time, .05 dB worse after 500).

What it does badly: tones come back with noise between their partials. Its phase is invented. There
are no discriminators: one by a spectrum of 1024 with 16 channels took 1.2 to 1.4 s a step, the
machine being busy.

`configs/demo_autoencoder.py:quick` is the same model for a fraction of the steps, for tests.
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is '' or 'quick'."""
    if arg not in ('', 'quick'):
        raise ValueError(f"argument {arg!r}; allowed are '' and 'quick'")
    quick = arg == 'quick'
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
    config.loop.log_every = 25 if quick else 50
    config.loop.evaluate_every = 600
    config.loop.save_every_s = 120.0
    config.loop.keep_every_steps = 0  # steps between checkpoints kept for ever; 0: none

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 32
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 8 if quick else 32  # of each split
    return config
