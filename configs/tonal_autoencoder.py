"""An autoencoder that keeps pitch: tones that go by the clock, 48 channels kept, 3.2 M parameters.

  python -m launch.train_autoencoder --config=configs/tonal_autoencoder.py \
      --workdir=tonal/autoencoder --config.data=tonal/data

That of configs/small_autoencoder.py with tones: 192 pitches, a quarter of a tone apart, whose
levels the latents tell and whose oscillators go by the clock. Trained on the 48 training songs of
Freedoom (131 min). On two virtual CPU cores that other work was using as well a step took .17 s: 23
min of training, and four minutes for the whitening, fitted on every latent of the training songs,
and the report. Measured on 12 validation and 12 test songs, in dB:

                                        validation   test
  log-mel distance, decoded             2.48         2.56
                    latents disturbed   2.67         2.73
                    decoded noise       10.85        10.93
                    mean spectrum       9.24         9.56
  level, mean |error| of a stem         0.73         0.88

by step, validation, before channels are left out: 0: 15.44, 1000: 2.89, 2000: 2.61, 4000: 2.44,
6000: 2.37, 8000: 2.32.

How the pitches of a decoded stem correlate with those of the stem, 68 windows of test songs, and
the log-mel distance in dB; `python -m tests.jen1composer.evaluation.pitch_kept tonal/data test
tonal/autoencoder`

                                       bass    drums   instrument   melody
  pitch, this one                      .43             .78          .88
         losses.tones .3, 2600 steps   .72             .88          .92
         without tones                 .08             .09          .33
  dB,    this one                      1.85    2.53    2.81         3.74
         losses.tones .3, 2600 steps   2.04    2.85    2.83         4.12
         without tones                 2.03    2.33    3.50         6.53

Held to their levels more, tones keep the pitch of a low bass better and smear drums. With
losses.tones 0 for 800 steps after those 2600, drums of validation songs went from 2.95 to 2.72 dB,
and pitch (bass, instrument, melody) from .68, .89, .90 to .26, .83, .85.

Heard by musicnn, songs encoded and decoded are at a Fréchet distance of 26.0 (bass), 14.2
(drums), 16.3 (instrument) and 20.2 (melody) from themselves; by configs/small_autoencoder.py
29.5, 13.8, 42.4 and 30.3; with losses.tones .3, 38.0, 35.1, 26.1 and 25.0 (launch.evaluate, 48
excerpts).

Tried and left, 300 or 400 steps each, pitch on one window of each validation song (bass,
instrument, melody): tones that only the sound teaches (-.10, -.04, -.05), tones taught by their
levels but without the straight line from levels to latents (.13, .04, -.03; with it .72, .80, .82),
windows of 4096 samples (.03, .01, -.04, without that line too). With levels that count what lies
between two pitches for both, and tones at a weight of 1, 6000 steps came to 2.98 dB and all was
4 dB too loud: oscillators played the noise.
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
