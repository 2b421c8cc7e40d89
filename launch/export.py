"""Writes a trained composer as one folder to hand on: weights, StableHLO programs, model card.

  python -m launch.export --checkpoint=demo/composer --out=exported
  python -m launch.export --checkpoint=demo/composer --out=exported --embed_text_encoder \\
      --latents=demo/latents --licence=BSD-3-Clause --variants=bfloat16,int8
  python exported/compose.py --prompt="dark driving rock" --out=song

The folder is a --checkpoint of every other command too, the same bits. With --embed_text_encoder
its compose.py makes music where there is none of this package, only jax, numpy, flatbuffers,
safetensors, tokenizers and soundfile. --variants are smaller weights beside the float32 ones, whose
loss is measured and stands in the card, README.md; --latents, the folders trained on, are asked for
the hours of music. All files are listed in SHA256SUMS and are checked before they are read. Prints
the files with their MiB as JSON.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Workdir of train_composer.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write: a new one, or an export to replace.')
_EMBED = flags.DEFINE_bool('embed_text_encoder', False, 'Its weights and program are in it too.')
_VARIANTS = flags.DEFINE_list('variants', [], 'Smaller weights as well: bfloat16, int8.')
_FLOAT32 = flags.DEFINE_bool('float32', True, 'The weights as they are; else --variants alone.')
_SAVEDMODEL = flags.DEFINE_bool('savedmodel', False, 'A TensorFlow SavedModel as well.')
_NAME = flags.DEFINE_string('name', 'JEN-1 Composer', 'What the card calls it.')
_LICENCE = flags.DEFINE_string('licence', 'not stated', 'Of the weights, which the data decide.')
_LATENTS = flags.DEFINE_list('latents', [], 'The folders it was trained on, for hours of music.')
_STEPS = flags.DEFINE_integer('steps', 25, 'Of the piece that the loss of --variants is told by.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', None, 'Where the T5 that the composer was trained with lies now, if it moved.'
)
MIB = 1 << 20
CURVES = 'curves.svg'


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.errors import BadInput, require
    from jen1composer.generation.composer import Composer
    from jen1composer.generation.export_folder import is_export
    from jen1composer.generation.weight_formats import FORMATS
    from jen1composer.serving.export import check_out, write_export
    from jen1composer.serving.model_card import Facts, model_card
    from jen1composer.serving.saved_model import require_packages
    from jen1composer.serving.weight_quality import measure
    from jen1composer.training.checkpoints import read_meta
    from jen1composer.training.metrics import read_metrics
    from launch.demo_charts import composer_curves
    from launch.export_facts import count_examples, hours_of_music

    # ---- What can be refused, before anything takes long.
    command.use_compilation_cache()
    out = epath.Path(command.folder('--out', _OUT.value))
    check_out(out)
    for form in _VARIANTS.value:
        require(form in FORMATS[1:], '--variants', form, f'are {", ".join(FORMATS[1:])}')
    if not _FLOAT32.value and not _VARIANTS.value:
        raise BadInput('--variants: empty; needed is one of them with --nofloat32')
    require(_STEPS.value >= 1, '--steps', _STEPS.value, 'is 1 or more')
    if _SAVEDMODEL.value:
        require_packages()
    workdir = epath.Path(_CHECKPOINT.value)
    if is_export(workdir):
        raise BadInput(f'--checkpoint={workdir}: is an export; allowed is a workdir')
    composer = Composer.load(workdir, text_encoder=_TEXT_ENCODER.value)
    meta = read_meta(workdir / 'checkpoints', composer.step)
    metrics = [
        row for row in read_metrics(workdir / 'metrics.jsonl') if row['step'] <= composer.step
    ]
    beside = {}
    if any('loss' in row for row in metrics):
        beside[CURVES] = composer_curves(metrics).encode()
    facts = Facts(
        name=_NAME.value,
        licence=_LICENCE.value,
        identity=meta.identity,
        metrics=metrics,
        examples=count_examples(meta),
        hours=hours_of_music(_LATENTS.value, meta.identity),
        losses=measure(composer, _VARIANTS.value, num_steps=_STEPS.value),
        embedded=_EMBED.value,
        curves=CURVES if beside else '',
    )

    # ---- The folder.
    sizes = write_export(
        out,
        composer,
        card=lambda sizes: model_card(composer, facts, sizes),
        variants=_VARIANTS.value,
        float32=_FLOAT32.value,
        embed_text_encoder=_EMBED.value,
        saved_model=_SAVEDMODEL.value,
        beside=beside,
        progress=command.report_progress('files'),
    )
    losses = {form: loss._asdict() for form, loss in facts.losses.items()}
    mib = {name: round(size / MIB, 3) for name, size in sizes.items()}
    print(json.dumps({'step': composer.step, 'files_mib': mib, 'losses': losses}, indent=1))


if __name__ == '__main__':
    flags.mark_flags_as_required(['checkpoint', 'out'])
    command.run(main)
