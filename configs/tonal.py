"""The composer of the weights in the package, on latents that keep pitch: 11.8 M parameters.

  python -m launch.prepare_data --source=freedoom --out=tonal/data --config=configs/prepare.py \
      --config.versions='((0,1.059463),(0,0.890899))'
  python -m launch.train_autoencoder --config=configs/tonal_autoencoder.py \
      --workdir=tonal/autoencoder --config.data=tonal/data
  python -m launch.encode_latents --autoencoder=tonal/autoencoder --data=tonal/data \
      --out=tonal/latents
  python -m launch.train_composer --config=configs/tonal.py:begin --workdir=tonal/begin
  python -m launch.train_composer --config=configs/tonal.py:before --workdir=tonal/before
  python -m launch.train_composer --config=configs/tonal.py --workdir=tonal/composer
  python -m launch.export --checkpoint=tonal/composer --out=jen1composer/weights \
      --variants=bfloat16 --nofloat32 --latents=tonal/latents

Three runs, each of which begins with the averaged weights of the one before and takes its learning
rate down from the peak to nothing. 48 songs to train on, each also a semitone higher and two lower,
faster and slower with it; 12 and 12 are held out and plain. Told tempo, key and chords.

`begin` ran on one H200 and was cut off at step 1913 of its 12000, after five minutes. `before` is
4000 steps of the last stage, .5 s each on two virtual CPU cores, 34 min. The last one, 1400 steps,
asks for silent tracks in a tenth of the cases (`data_pipeline.silence`): 12 min. Validation v-loss
on text alone, the mean over five times, by step (a prediction of zero: .994; silence is asked for
there as often as it comes):

  begin    1000: .817
  before   0: .742   1000: .716   2000: .691   3000: .675   4000: .666
  last     0: .666   500: .688   1000: .677   1400: .671

On 48 excerpts of 24 held-out songs in 30 steps (7 min; 95 % intervals over songs), made for the
others given:

                                          this one               before             configs/small.py
  better together than retrieved stems    .290 (.249 to .325)    .277               .227
  onsets of bass and drums, correlation   .449 (.406 to .492)    .432               .460
  pitches of the other pairs, songs .29   .164 (.139 to .190)    .156               .027
  heard as the track asked for            .898 (.858 to .936)    .806               .753
  Fréchet distance, of decoded noise's    .88 .24 .36 .68        .84 .29 .36 .86    .64 .20 .50 .58
  silent, of the time, songs .03 to .08   .03 .04 .00 .54        .11 .08 .00 .78    .04 .03 .01 .48

(bass, drums, instrument, melody). Made all at once melodies are silent for .20 of the time, .62
before and .58 with configs/small.py. The loss of `before` was still falling.
"""

from ml_collections import ConfigDict

from configs import small


def get_config(arg: str = '') -> ConfigDict:
    """`arg` is 'begin' or 'before', the runs that come first, or ''."""
    if arg not in ('', 'before', 'begin'):
        raise ValueError(f"argument {arg!r}; allowed are '', 'before' and 'begin'")
    config = small.get_config()
    config.data.latents = 'tonal/latents'
    config.data.autoencoder = 'tonal/autoencoder'
    config.model.channels = (192, 288, 416)
    if arg == 'begin':
        config.batch = 32
        config.curriculum.stage_steps = (500, 500, 500, 10500)
    else:  # of the stages that are behind it a step each
        config.init_from = 'tonal/begin' if arg == 'before' else 'tonal/before'
        config.curriculum.stage_steps = (1, 1, 1, 3997 if arg == 'before' else 1397)
    if arg == '':
        config.curriculum.silent_targets = 0.1  # odds that a silent track is asked for
    return config
