"""Makes music with a trained composer: stems and mix as FLAC.

  python -m launch.generate --checkpoint=demo/composer --prompt="dark driving rock" --out=song
  python -m launch.generate --checkpoint=demo/composer --targets=melody,instrument \\
      --given=bass=mine/bass.wav,drums=mine/drums.wav --out=song

A track that is not mentioned is generated if --targets is not given, else left out. Files of any
rate, mono or stereo, are taken, but no path with a comma; a given track comes back as it is.
"""

import json

from absl import flags

from launch import command

_CHECKPOINT = flags.DEFINE_string('checkpoint', None, 'Workdir of train_composer.')
_PROMPT = flags.DEFINE_string('prompt', '', 'Words for the music.')
_TARGETS = flags.DEFINE_list('targets', [], 'Tracks to make.')
_GIVEN = flags.DEFINE_list('given', [], 'Tracks to build on, as TRACK=FILE.')
_MARGINAL = flags.DEFINE_list('marginal', [], 'Tracks to leave out.')
_SECONDS = flags.DEFINE_float('seconds', 5.0, 'Length.')
_STEPS = flags.DEFINE_integer('steps', 50, 'Steps of the sampler.')
_GUIDANCE = flags.DEFINE_float('guidance', 1.5, 'Scale on the prompt; 1 is none.')
_SEED = flags.DEFINE_integer('seed', 0, 'The same seed gives the same music.')
_TEXT_ENCODER = flags.DEFINE_string(
    'text_encoder', None, 'Where the T5 that the composer was trained with lies now, if it moved.'
)
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')


def main(argv: list[str]) -> None:
    del argv
    from data_pipeline.audio import read_audio
    from jen1composer.errors import BadInput
    from jen1composer.generation.composer import Composer
    from jen1composer.generation.request import Request
    from jen1composer.tracks import parse_tracks
    from launch.pieces import write_piece

    command.use_compilation_cache()
    out = command.folder('--out', _OUT.value)
    composer = Composer.load(_CHECKPOINT.value, text_encoder=_TEXT_ENCODER.value)
    tracks = composer.spec.tracks
    given = {}
    for entry in _GIVEN.value:
        name, equals, path = entry.partition('=')
        if not (name.strip() and equals and path):
            raise BadInput(f'--given={entry}: no track or no file; allowed is TRACK=FILE,...')
        (name,) = parse_tracks('--given', [name], tracks)
        if name in given:
            raise BadInput(f'--given={entry}: {name} is given twice; allowed is one file a track')
        given[name] = read_audio(path)
    request = Request(
        prompt=_PROMPT.value,
        targets=parse_tracks('--targets', _TARGETS.value, tracks),
        given=given,
        marginal=parse_tracks('--marginal', _MARGINAL.value, tracks),
        seconds=_SECONDS.value,
        seed=_SEED.value,
        num_steps=_STEPS.value,
        text_guidance=_GUIDANCE.value,
    )
    print(json.dumps(write_piece(out, composer.compose(request), request), indent=1))


if __name__ == '__main__':
    flags.mark_flags_as_required(['checkpoint', 'out'])
    command.run(main)
