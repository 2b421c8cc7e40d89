"""Makes music with what the demo has trained, and a page to hear it and see what was measured.

  python -m launch.demo_page --checkpoint=demo/composer --data=demo/data --latents=demo/latents \\
      --autoencoder=demo/autoencoder --out=demo/page

Open OUT/index.html; the numbers are in OUT/measurements.json too.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Workdir of train_composer.')
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
    from data_pipeline.latents import Latents
    from data_pipeline.records import Prepared
    from jen1composer.evaluation.figures import spectrogram_png
    from jen1composer.evaluation.page import render
    from jen1composer.evaluation.reconstruction import reconstruction_report
    from jen1composer.generation.composer import Composer
    from jen1composer.tracks import SAMPLE_RATE
    from jen1composer.training.metrics import read_metrics
    from launch import demo_measurements, demo_pieces, demo_report
    from launch.task_draws import draw_tasks
    from launch.task_shares import task_shares

    command.use_compilation_cache()
    out = epath.Path(command.folder('--out', _OUT.value))
    autoencoder = epath.Path(_AUTOENCODER.value)
    prepared, latents = Prepared(_DATA.value), Latents(_LATENTS.value)
    composer = Composer.load(_CHECKPOINT.value)
    spec = composer.spec
    heldout = demo_measurements.read_heldout(autoencoder)
    demo_measurements.check_origins(spec, latents.manifest, prepared.manifest, heldout)
    seconds = _SECONDS.value or spec.window_frames * spec.hop_samples / SAMPLE_RATE
    stretch = demo_pieces.choose_stretch(prepared, demo_pieces.GIVEN, round(seconds * SAMPLE_RATE))
    prompt = stretch.song.prompts[0] if _PROMPT.value is None else _PROMPT.value
    pieces = demo_pieces.make_pieces(
        out, composer, stretch, prompt=prompt, seed=_SEED.value, num_steps=_STEPS.value
    )
    curriculum, order = demo_measurements.run_curriculum(_CHECKPOINT.value, len(spec.tracks))
    report = demo_report.Report(
        data=demo_measurements.measure_data(prepared),
        autoencoder=heldout
        | {'stretch': reconstruction_report(composer.codec, stretch.stems, _SEED.value)},
        autoencoder_rows=read_metrics(autoencoder / 'metrics.jsonl'),
        composer_parameters=composer.num_parameters,
        composer_steps=composer.step,
        composer_rows=read_metrics(epath.Path(_CHECKPOINT.value) / 'metrics.jsonl'),
        shares=task_shares(draw_tasks(curriculum, order)),
        validation=demo_measurements.measure_validation(
            composer, latents, curriculum, num_batches=_BATCHES.value
        ),
        pieces=pieces,
    )
    page = demo_report.make_page(report)
    for sound in command.progress(page.sounds, 'spectrograms'):
        (out / sound.picture).write_bytes(spectrogram_png(read_audio(out / sound.file)))
    (out / 'measurements.json').write_text(json.dumps(report.summary(), indent=1) + '\n')
    (out / 'index.html').write_text(render(page))
    print(json.dumps({'page': str(out / 'index.html')}))


if __name__ == '__main__':
    flags.mark_flags_as_required(['checkpoint', 'data', 'latents', 'autoencoder', 'out'])
    command.run(main)
