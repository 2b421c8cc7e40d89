"""Measures a composer on songs that it never saw, beside what it must be better than.

  python -m launch.evaluate --data=demo/data --out=evaluation
  python -m launch.evaluate --checkpoint=demo/composer --data=demo/data --excerpts=16 --steps=20 \\
      --out=evaluation
  python -m launch.evaluate --data=demo/data --embedder=clap --embedder_folder=clap --out=evaluation
  python -m launch.evaluate --references=songs --generated=mine --out=evaluation

Excerpts of one window of held-out songs, in which all tracks sound, are made anew by the composer:
all tracks at once, each for the others given, each alone; with --subsets for every set of given
tracks. Beside them stand the songs themselves, encoded and decoded, the training stems nearest by
prompt, stems of other songs, noise. Every figure has an interval over songs. Open OUT/index.html;
the numbers are in OUT/report.json. Interrupted it goes on where it was; a folder answers one
question, and another needs another folder, but for --embedder and --subsets.

With --references and --generated, any two folders of sound are compared, whoever made them, beside
anchors from the references; a folder in either with mix.flac or bass.flac, drums.flac, ... is one
piece with stems. A prompt stands in NAME.txt beside a sound, or in prompt.txt or piece.json.
"""

import json

from absl import flags

from jen1composer.errors import BadInput
from launch import command

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_DATA = flags.DEFINE_string('data', None, 'Prepared folder, from prepare_data.')
_REFERENCES = flags.DEFINE_string('references', None, 'Folder of sound to compare with.')
_GENERATED = flags.DEFINE_string('generated', None, 'Folder of sound to be measured.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')
_SPLIT = flags.DEFINE_list('split', ['test', 'validation'], 'Splits that are held out; not train.')
_EXCERPTS = flags.DEFINE_integer('excerpts', 64, 'Excerpts at most, spread over the songs.')
_SUBSETS = flags.DEFINE_bool('subsets', False, 'Makes the rest for every set of given tracks.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of the sampler.', lower_bound=1)
_SAMPLER = flags.DEFINE_string(
    'sampler', 'dpmpp_2m', 'ddpm, ddim, euler, heun, dpmpp_2m or dpmpp_2m_sde.'
)
_GUIDANCE = flags.DEFINE_float('guidance', None, 'Scale on the prompt; 1 is none. If not given 3.')
_GIVEN_GUIDANCE = flags.DEFINE_list(
    'given_guidance', [], 'Scale on the given tracks, or TRACK=SCALE,...; 1, as if not given, none.'
)
_SEED = flags.DEFINE_integer('seed', 0, 'The same seed gives the same figures.', lower_bound=0)
_EMBEDDER = flags.DEFINE_string('embedder', 'musicnn', 'What hears: musicnn, clap or vggish.')
_EMBEDDER_FOLDER = flags.DEFINE_string('embedder_folder', None, 'Where its weights are.')


def main(argv: list[str]) -> None:
    del argv
    from threadpoolctl import threadpool_limits

    from data_pipeline.records import Prepared
    from jen1composer.evaluation.making import Sampling
    from jen1composer.generation.composer import Composer
    from jen1composer.generation.scales import TEXT
    from launch import requests
    from launch.evaluation_ears import load_ears
    from launch.evaluation_folders_page import evaluate_folders
    from launch.evaluation_results import write_results
    from launch.evaluation_run import make_evaluation, make_sounds, measure

    command.use_compilation_cache()
    out = command.folder('--out', _OUT.value)
    references, generated = _REFERENCES.value, _GENERATED.value
    if references or generated:
        if not (references and generated) or _DATA.value or _CHECKPOINT.value:
            raise BadInput(
                '--references, --generated: allowed are both, without --data and --checkpoint'
            )
    elif not _DATA.value:
        raise BadInput('--data: is missing; needed is it, or else --references and --generated')
    ears = load_ears(_EMBEDDER.value, _EMBEDDER_FOLDER.value)
    if references and generated:
        with threadpool_limits(limits=1, user_api='blas'):
            page = evaluate_folders(references, generated, out, ears, _SEED.value)
        print(json.dumps({'page': str(page)}))
        return
    prepared = Prepared(_DATA.value)
    composer = Composer.load(_CHECKPOINT.value)
    tracks = composer.spec.tracks
    sampling = Sampling(
        seed=_SEED.value,
        num_steps=_STEPS.value,
        sampler=_SAMPLER.value,
        text_guidance=TEXT if _GUIDANCE.value is None else _GUIDANCE.value,
        given_guidance=requests.parse_scales('--given_guidance', _GIVEN_GUIDANCE.value, tracks),
    )
    evaluation = make_evaluation(
        composer,
        prepared,
        sampling,
        splits=_SPLIT.value,
        count=_EXCERPTS.value,
        subsets=_SUBSETS.value,
    )
    sounds = make_sounds(evaluation, out)
    # Of matrices this small, more threads of BLAS mostly wait for each other: 65 ms beside 3.
    with threadpool_limits(limits=1, user_api='blas'):
        page = write_results(evaluation, sounds, ears, measure(evaluation, sounds, ears))
    print(json.dumps({'page': str(page)}))


if __name__ == '__main__':
    flags.mark_flags_as_required(['out'])
    command.run(main)
