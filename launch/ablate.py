"""Trains and measures the same model without each of its parts, with several seeds.

  python -m launch.ablate --config=configs/ablation_synthetic.py --workdir=ablation --dry_run
  python -m launch.ablate --config=configs/ablation_synthetic.py --workdir=ablation
  python -m launch.ablate --config=configs/ablation_freedoom.py --workdir=ablation_freedoom \\
      --config.data.latents=latents
  python -m launch.ablate --config=configs/ablation_tracks.py --workdir=ablation_tracks

Prints first what the grid will cost: runs, parameters, and minutes by a few timed steps of each
variant; with --dry_run that is all. Then works through it, a variant with one seed after the other:
what is done is kept in WORKDIR/cells and never done again, and a training that was interrupted goes
on from its checkpoint. The table of means and 95 % intervals over the seeds, and of differences to
the base paired by seed, is written after each cell as WORKDIR/ablation.json and WORKDIR/index.html,
and printed at the end. Variants and seeds are the config's.

configs/ablation_tracks.py trains nothing: it asks what one model over 1 to 8 tracks costs, beside
one a track (launch/track_costs.py).
"""

import functools
import json
import pathlib

from absl import flags
from ml_collections import config_flags

from launch import command

_CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'Config, e.g. configs/ablation_synthetic.py.'
)
_WORKDIR = flags.DEFINE_string('workdir', None, 'Folder of the runs and the results.')
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Only prints what the grid would cost.')


def main(argv: list[str]) -> None:
    del argv
    from launch import ablation_grid, ablation_report, ablation_work, track_costs
    from launch.config_sections import require_sections
    from launch.data_description import terminal

    config = _CONFIG.value
    workdir = pathlib.Path(command.folder('--workdir', _WORKDIR.value))
    command.use_compilation_cache()
    command.keep_freed_memory()
    if config.get('subject') == 'tracks':
        track_costs.write(config, workdir, _DRY_RUN.value, command.progress)
        return
    needed = ['title', 'subject', 'seeds', 'variants.', 'ablation.', 'measure.', 'loop.']
    require_sections(config, 'ablate', needed)
    subject = ablation_work.make_subject(config.subject)
    cells = ablation_grid.make_cells(config)

    prices = ablation_work.prices(cells, subject, workdir, command.progress)
    print(terminal([ablation_report.price_table(prices)]), flush=True)
    if _DRY_RUN.value:
        return
    anchors = subject.anchors(cells[0].config)
    finish = functools.partial(
        ablation_work.finish, subject=subject, workdir=workdir, progress=command.progress
    )
    for found in ablation_grid.work(cells, workdir, finish, command.progress):
        if found:
            report = ablation_report.write(workdir, config.title, found, anchors)
    print(terminal(report.tables))
    written = {'page': str(workdir / 'index.html'), 'json': str(workdir / 'ablation.json')}
    print(json.dumps(written))


if __name__ == '__main__':
    flags.mark_flags_as_required(['config', 'workdir'])
    command.run(main)
