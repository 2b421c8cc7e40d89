"""Shows what a composer's curriculum asks for, without training and without data.

  python -m launch.curriculum --config=configs/demo.py --out=curriculum
  python -m launch.curriculum --config=configs/demo.py --config.curriculum.transition=linear \
      --config.curriculum.target_shares="((1,0,0,0),(1,1,1,3))" --examples=100000 --out=linear

Draws the tasks that a training with this config would draw, examples spread evenly over its steps,
and prints them beside what was set: how many tracks are made, what the others are, kinds, spans; in
every stage, and where hosts and slots of the batch are furthest off. Writes the same to
OUT/curriculum.json, and a picture, OUT/curriculum.png.
"""

import json

from absl import flags
from ml_collections import config_flags

from launch import command

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Config, e.g. configs/demo.py.')
_OUT = flags.DEFINE_string('out', None, 'Folder to write.')
_TRACKS = flags.DEFINE_integer('tracks', 4, 'Tracks of the composer.', lower_bound=1)
_EXAMPLES = flags.DEFINE_integer(
    'examples', 10_000, 'How many to draw; all of them, where there are no more.', lower_bound=1
)


def main(argv: list[str]) -> None:
    del argv
    from etils import epath

    from data_pipeline.order import Order, begun
    from jen1composer.errors import BadInput, require
    from launch.composer_sections import make_curriculum
    from launch.config_sections import require_sections
    from launch.curriculum_picture import picture
    from launch.curriculum_report import make_report, table
    from launch.task_draws import draw_tasks, hidden_frames

    out, config = epath.Path(command.folder('--out', _OUT.value)), _CONFIG.value
    require_sections(config, 'train_composer', ['seed', 'batch', 'data.', 'curriculum.'])
    frames = config.data.get('window_frames')
    require(type(frames) is int and frames >= 1, 'data.window_frames', frames, 'is 1 or more')
    curriculum = make_curriculum(config.curriculum, _TRACKS.value)
    curriculum.kinds.check(frames)
    order = Order(
        seed=config.seed, segments=begun(config.batch), total_steps=curriculum.total_steps
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        draws = draw_tasks(
            curriculum,
            order,
            examples=_EXAMPLES.value,
            progress=lambda numbers: command.progress(numbers, 'tasks'),
        )
        hidden = hidden_frames(draws, frames)
        report = make_report(draws, hidden, frames)
        (out / 'curriculum.json').write_text(json.dumps(report.summary(), indent=1) + '\n')
        (out / 'curriculum.png').write_bytes(picture(draws, hidden, frames))
    except OSError as error:
        raise BadInput(f'--out={_OUT.value}: {error.strerror}; allowed is a folder') from error
    print(table(report))


if __name__ == '__main__':
    flags.mark_flags_as_required(['config', 'out'])
    command.run(main)
