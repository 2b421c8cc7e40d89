"""An autoencoder that keeps pitch: tones that go by the clock, 48 channels kept, 3.2 M parameters.

  python -m launch.train_autoencoder --config=configs/tonal_autoencoder.py \
      --workdir=tonal/autoencoder --config.data=tonal/data

That of the package (configs/small_autoencoder.py) with tones: 192 pitches, a quarter of a tone
apart, whose levels the latents tell and whose oscillators go by the clock. Trained on the 48
training songs of Freedoom (131 min). On two virtual CPU cores that other work was using as well a
step took .2 s: 7 min 35 s of training, and three minutes for the whitening, fitted on every latent
of the training songs, and the report.
Measured on 12 validation and 12 test songs, in dB:

                                        validation   test
  log-mel distance, decoded             2.69         2.80
                    latents disturbed   2.94         3.02
                    decoded noise       10.87        10.96
                    mean spectrum       9.24         9.56
  level, mean |error| of a stem         0.64         0.83

by step, validation, before channels are left out: 0: 15.44, 600: 3.11, 1200: 2.74, 1800: 2.61,
2400: 2.54, 2600: 2.53. The pitches of a decoded stem correlate with those of the stem
(`evaluation.coherence`, equation (6)), on a window of 12 validation songs each:

                                        bass   instrument   melody
  this one                              .70    .87          .84
  the same without tones, 3600 steps    .06    .08          .13

Tried and left, 300 or 400 steps each: tones that only the sound teaches (-.10, -.04, -.05), tones
taught by their levels but without the straight line from levels to latents (.13, .04, -.03; with
it .72, .80, .82), windows of 4096 samples (.03, .01, -.04, without that line too). With levels that
count what lies between two pitches for both, and tones at a weight of 1, 6000 steps came to 2.98
dB, drums to 3.95 and all 4 dB too loud: oscillators played the noise. Drums are what this one does
worse than the one without tones, 3.08 dB against 2.63.

Heard by musicnn, what comes back is nearer to the songs where notes are held and further where they
are hit: Fréchet distance, songs of launch.evaluate encoded and decoded,

                  bass   drums   instrument   melody
  this one        38.0   35.1    26.1         25.0
  without tones   29.5   13.8    42.4         30.3
"""

from ml_collections import ConfigDict

from configs.loop import common_loop


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is ''."""
    if arg:
        raise ValueError(f"argument {arg!r}; allowed is ''")
    config = ConfigDict()
    config.seed = 0
    config.data = 'tonal/data'  # from launch.prepare_data
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
    config.model.tones_per_octave = 24
    config.model.tone_octaves = 8
    config.model.tone_lowest_hz = 32.703  # C1
    config.model.tone_window = 8192  # samples

    config.task = ConfigDict()
    config.task.masked_share = 0.05
    config.task.noise = 0.3
    config.task.latent_penalty = 0.01

    config.losses = ConfigDict()
    config.losses.sizes = (8192, 2048, 512, 128)
    config.losses.floor = 1e-3
    config.losses.log_mel = 1.0
    config.losses.log_magnitude = 0.3
    config.losses.level = 0.1
    config.losses.waveform = 0.0
    config.losses.tones = 0.3

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
    config.loop.total_steps = 2600
    config.loop.log_every = 50
    config.loop.evaluate_every = 600
    config.loop.save_every_s = 120.0
    config.loop.keep_every_steps = 0  # steps between checkpoints kept for ever; 0: none

    # Songs that the whitening is fitted on, whole, and evenly spaced where there are more; latent
    # channels it leaves, those of largest variance; crops that the held-out report is about.
    config.whitening_songs = 1000
    config.whitening_channels = 48
    config.heldout = ConfigDict()
    config.heldout.seconds = 4.0
    config.heldout.crops = 32  # of each split
    return config
