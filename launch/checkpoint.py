"""Says what checkpoints a run has, and what is in one; writes averaged weights as one file.

  python -m launch.checkpoint --checkpoint=demo/composer
  python -m launch.checkpoint --checkpoint=demo/composer --step=20000 \\
      --export_ema=composer.safetensors --json=composer.json

--checkpoint is the workdir of a run, of train_composer or train_autoencoder; it is only read. Of
each checkpoint the step, whether it is kept for ever, its MiB on disk and whether its files are all
there; then, of that of --step or the newest whole one, the identity of its run and every array with
its shape and MiB. --json writes the same as JSON. Weights are written with float arrays by name,
`step` and `identity` (JSON) in the file's metadata, as any reader of safetensors shows them.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Workdir of a run, e.g. demo/composer.')
_STEP = flags.DEFINE_integer('step', None, 'Which; by default the newest whole one.', lower_bound=0)
_JSON = flags.DEFINE_string('json', None, 'File for what is printed, as JSON.')
_EXPORT_EMA = flags.DEFINE_string(
    'export_ema', None, 'File, NAME.safetensors, for the averaged weights alone.'
)
MIB = 1 << 20


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.errors import BadInput, require
    from jen1composer.training.checkpoint_contents import (
        export_ema,
        saved_checkpoints,
        saved_leaves,
    )
    from jen1composer.training.checkpoints import read_meta

    if _EXPORT_EMA.value is not None:
        ending = _EXPORT_EMA.value.endswith('.safetensors')
        require(ending, '--export_ema', _EXPORT_EMA.value, 'is a file NAME.safetensors')
    folder = epath.Path(_CHECKPOINT.value) / 'checkpoints'
    meta = read_meta(folder, _STEP.value)
    checkpoints, leaves = saved_checkpoints(folder), saved_leaves(folder, meta.step)

    # ---- Files first: who reads what is printed may not read on to its end.
    if _JSON.value is not None:
        said = {
            'step': meta.step,
            'checkpoints': [saved._asdict() for saved in checkpoints],
            'identity': meta.identity,
            'arrays': [leaf._asdict() for leaf in leaves],
        }
        try:
            epath.Path(_JSON.value).write_text(json.dumps(said, indent=1) + '\n')
        except OSError as error:
            raise BadInput(f'--json={_JSON.value}: {error.strerror}; allowed is a file') from error
    if _EXPORT_EMA.value is not None:
        export_ema(folder, _EXPORT_EMA.value, meta.step)

    # ---- What is there.
    print(f'{"step":>10}  {"permanent":9}  {"MiB":>10}  files')
    for saved in checkpoints:
        permanent, state = 'yes' if saved.permanent else 'no', saved.damage or 'whole'
        print(f'{saved.step:>10}  {permanent:9}  {saved.num_bytes / MIB:>10.2f}  {state}')
    print(f'\nidentity at step {meta.step}')
    for key, value in sorted(meta.identity.items()):
        print(f'  {key} = {json.dumps(value)}')
    width = max(len(leaf.name) for leaf in leaves)
    print(f'\n{"array":{width}}  {"dtype":8}  {"MiB":>10}  shape')
    for leaf in leaves:
        shape = ' x '.join(map(str, leaf.shape)) or '-'
        print(f'{leaf.name:{width}}  {leaf.dtype:8}  {leaf.num_bytes / MIB:>10.2f}  {shape}')
    total = sum(leaf.num_bytes for leaf in leaves)
    print(f'{f"{len(leaves)} arrays":{width}}  {"":8}  {total / MIB:>10.2f}')
    if _EXPORT_EMA.value is not None:
        print(f'{_EXPORT_EMA.value}: the averaged weights of step {meta.step}')


if __name__ == '__main__':
    flags.mark_flag_as_required('checkpoint')
    command.run(main)
