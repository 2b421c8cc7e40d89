"""Measures whether a composer obeys: tempo, key and chords of what it makes, told against free.

  python -m launch.obey --out=DIR
  python -m launch.obey --checkpoint=DIR --out=DIR --tempi=90,140 --keys="A minor,Eb major" \\
      --progressions="Am F C G;Dm A:2 Dm:2" --seeds=8 --control_guidance=2

For every tempo, key and progression pieces are made of the same seeds, and once without any: a
piece that was told nothing may be in time or in key by chance. Analysers that made no training
label listen to all of them. Pieces are kept in DIR/pieces, so a run that was stopped goes on; other
settings need another folder. DIR/obedience.json has every figure.
"""

import json

from absl import flags

from jen1composer.errors import BadInput, require
from launch import command

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, "Workdir of train_composer, or an export; if not given, the package's."
)
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')
_TEMPI = flags.DEFINE_list('tempi', ['80', '100', '120', '140'], 'Beats a minute.')
_KEYS = flags.DEFINE_list('keys', ['A minor', 'E minor', 'C major', 'F# minor'], 'Keys.')
_PROGRESSIONS = flags.DEFINE_string(
    'progressions', 'Am F C G;Em C G D;Dm Bb C Am', 'Chords, see generate; parted by semicolons.'
)
_CHORD_BPM = flags.DEFINE_float('chord_bpm', 120.0, 'Tempo of the progressions.')
_SEEDS = flags.DEFINE_integer('seeds', 4, 'Pieces of each condition.', lower_bound=2)
_SEED = flags.DEFINE_integer('seed', 0, 'The first seed.')
_SECONDS = flags.DEFINE_float('seconds', 10.0, 'Of a piece.')
_STEPS = flags.DEFINE_integer('steps', 30, 'Steps of the sampler.')
_PROMPT = flags.DEFINE_string('prompt', '', 'Words for all pieces; none lets control speak alone.')
_CONTROL_GUIDANCE = flags.DEFINE_float('control_guidance', None, 'Scale on what is told.')
_NOTES = flags.DEFINE_bool('notes', True, 'Whether Basic Pitch listens too, where it is installed.')


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from jen1composer.generation.composer import Composer
    from jen1composer.generation.request import Request
    from jen1composer.generation.scales import TEXT
    from launch.obedience_run import conditions_of, lines, load_basic_pitch, measure_obedience

    command.use_compilation_cache()
    out = epath.Path(command.folder('--out', _OUT.value))
    composer = Composer.load(_CHECKPOINT.value)
    if not composer.spec.model.control:
        raise BadInput(f'--checkpoint={_CHECKPOINT.value}: was trained without control')
    asked = Request(
        seconds=_SECONDS.value,
        num_steps=_STEPS.value,
        seed=_SEED.value,
        prompt=_PROMPT.value,
        text_guidance=TEXT if _PROMPT.value else None,
    )
    table = measure_obedience(
        composer,
        conditions_of(
            [_tempo(bpm) for bpm in _TEMPI.value],
            _KEYS.value,
            [chords for chords in _PROGRESSIONS.value.split(';') if chords.strip()],
            _CHORD_BPM.value,
        ),
        asked,
        scale=_CONTROL_GUIDANCE.value,
        num_seeds=_SEEDS.value,
        out=out,
        basic_pitch=load_basic_pitch() if _NOTES.value else None,
        progress=command.report_progress('pieces'),
    )
    print(json.dumps(table['measures'], indent=1))
    print('\n'.join(lines(table)))


def _tempo(value: str) -> float:
    require(value.replace('.', '', 1).isdigit(), '--tempi', value, 'are numbers')
    return float(value)


if __name__ == '__main__':
    flags.mark_flags_as_required(['out'])
    command.run(main)
