"""Makes music with a composer, and a page to hear it and see what was measured.

  python -m launch.demo_page --data=demo/data --out=demo/page
  python -m launch.demo_page --checkpoint=trained/composer --data=trained/data \\
      --latents=trained/latents --autoencoder=trained/autoencoder --out=trained/page

Some pieces are made beside a song of --data that was held out. With the --latents and --autoencoder
of its training, the page says how that went and what was learnt, too; the numbers are then in
OUT/measurements.json. Open OUT/index.html.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_DATA = flags.DEFINE_string('data', None, 'Prepared folder, from prepare_data.')
_LATENTS = flags.DEFINE_string('latents', None, 'Latents of it, from encode_latents.')
_AUTOENCODER = flags.DEFINE_string('autoencoder', None, 'Workdir of train_autoencoder.')
_PROMPT = flags.DEFINE_string('prompt', None, "Words for the music; by default a test song's.")
_SECONDS = flags.DEFINE_float(
    'seconds', None, 'Length; by default that of a training window.', 0.1, 60
)
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of the sampler.', lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'The same seed gives the same music.')
_BATCHES = flags.DEFINE_integer('batches', 6, 'Batches of 16 for each validation.', lower_bound=1)
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from data_pipeline.audio import read_audio
    from data_pipeline.records import Prepared
    from jen1composer.errors import BadInput
    from jen1composer.evaluation.figures import spectrogram_png
    from jen1composer.evaluation.page import render
    from jen1composer.generation.composer import Composer
    from jen1composer.tracks import SAMPLE_RATE
    from launch import demo_music, demo_pieces
    from launch.demo_report import make_page
    from launch.demo_training import measure_training, open_training

    command.use_compilation_cache()
    out = epath.Path(command.folder('--out', _OUT.value))
    trained = (_CHECKPOINT.value, _LATENTS.value, _AUTOENCODER.value)
    if any(trained[1:]) and not all(trained):
        raise BadInput('--checkpoint, --latents, --autoencoder: needed are all three of a training')
    prepared = Prepared(_DATA.value)
    composer = Composer.load(_CHECKPOINT.value)
    spec = composer.spec
    training = None
    if all(trained):
        training = open_training(
            composer,
            prepared,
            checkpoint=_CHECKPOINT.value,
            latents=_LATENTS.value,
            autoencoder=_AUTOENCODER.value,
        )

    # ---- Music.
    seconds = _SECONDS.value or spec.window_frames * spec.hop_samples / SAMPLE_RATE
    stretch = demo_pieces.choose_stretch(prepared, demo_pieces.GIVEN, round(seconds * SAMPLE_RATE))
    prompt = stretch.song.prompts[0] if _PROMPT.value is None else _PROMPT.value
    pieces = demo_pieces.make_pieces(
        out, composer, stretch, prompt=prompt, seed=_SEED.value, num_steps=_STEPS.value
    )

    # ---- The page.
    if training is None:
        page = demo_music.music_page(composer, pieces)
    else:
        report = measure_training(
            training,
            composer,
            prepared,
            stretch,
            pieces,
            num_batches=_BATCHES.value,
            seed=_SEED.value,
        )
        page = make_page(report)
        (out / 'measurements.json').write_text(json.dumps(report.summary(), indent=1) + '\n')
    for sound in command.progress(page.sounds, 'spectrograms'):
        (out / sound.picture).write_bytes(spectrogram_png(read_audio(out / sound.file)))
    (out / 'index.html').write_text(render(page))
    print(json.dumps({'page': str(out / 'index.html')}))


if __name__ == '__main__':
    flags.mark_flags_as_required(['data', 'out'])
    command.run(main)
