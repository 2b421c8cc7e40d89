"""An autoencoder that keeps pitch: tones that go by the clock, 48 channels kept, 3.2 M parameters.

  python -m launch.train_autoencoder --config=configs/tonal_autoencoder.py \
      --workdir=tonal/autoencoder --config.data=tonal/data

That of the package (configs/small_autoencoder.py) with tones: 192 pitches, a quarter of a tone
apart, whose levels the latents tell and whose oscillators go by the clock. Trained on the 48
training songs of Freedoom (131 min). On two virtual CPU cores that other work was using as well a
step took .2 s: 7 min 35 s of training, and three minutes for the whitening, fitted on every latent
of the training songs, and the report. Measured on 12 validation and 12 test songs, in dB:

                                        validation   test
  log-mel distance, decoded             2.69         2.80
                    latents disturbed   2.94         3.02
                    decoded noise       10.87        10.96
                    mean spectrum       9.24         9.56
  level, mean |error| of a stem         0.64         0.83

by step, validation, before channels are left out: 0: 15.44, 600: 3.11, 1200: 2.74, 1800: 2.61,
2400: 2.54, 2600: 2.53.

How the pitches of a decoded stem correlate with those of the stem, 68 windows of test songs (72 of
validation songs), and the log-mel distance in dB; `python -m
tests.jen1composer.evaluation.pitch_kept tonal/data test tonal/autoencoder`

                           bass          drums         instrument    melody
  pitch, this one          .72 (.68)                   .88 (.89)     .92 (.90)
         without tones     .08 (.01)                   .09 (.10)     .33 (.28)
  dB,    this one          2.04 (2.09)   2.85 (2.95)   2.83 (3.42)   4.12 (3.97)
         without tones     2.03 (2.18)   2.33 (2.47)   3.50 (4.50)   6.53 (6.32)

Tried and left, 300 or 400 steps each, pitch on one window of each validation song (bass,
instrument, melody): tones that only the sound teaches (-.10, -.04, -.05), tones taught by their
levels but without the straight line from levels to latents (.13, .04, -.03; with it .72, .80, .82),
windows of 4096 samples (.03, .01, -.04, without that line too). With levels that count what lies
between two pitches for both, and tones at a weight of 1, 6000 steps came to 2.98 dB and all was
4 dB too loud: oscillators played the noise. Drums are what this one still does worse.

Heard by musicnn, what comes back is nearer to the songs where notes are held and further where they
are hit: Fréchet distance, songs of launch.evaluate encoded and decoded,

                  bass   drums   instrument   melody
  this one        38.0   35.1    26.1         25.0
  without tones   29.5   13.8    42.4         30.3
"""

from ml_collections import ConfigDict

from configs import small_autoencoder


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is ''."""
    config = small_autoencoder.get_config(arg)
    config.data = 'tonal/data'
    config.model.tones_per_octave = 24
    config.model.tone_octaves = 8
    config.model.tone_lowest_hz = 32.703  # C1
    config.model.tone_window = 8192  # samples
    config.losses.sizes = (8192, 2048, 512, 128)
    config.losses.level = 0.1
    config.losses.tones = 0.1
    config.loop.total_steps = 8000
    config.loop.evaluate_every = 1000
    config.whitening_channels = 48
    return config
