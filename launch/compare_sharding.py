"""Compares strategies of sharding: what each takes of devices here, or of a pod that is not.

  python -m launch.compare_sharding --config=configs/demo.py --devices=cpu:8 --out=sharding
  python -m launch.compare_sharding --config=configs/paper_composer.py --devices=v5e:4x4 \\
      --latent_channels=128 --text_width=1024 --strategies=fsdp,hybrid --out=sharding
  python -m launch.compare_sharding --config=configs/demo.py --devices=cpu:8 --strategies=dp,fsdp \\
      --sweep='batch=16,32 remat=none,block' --meshes=fsdp:data=2,fsdp=4 --out=sharding

--devices is cpu:8 (simulated), gpu, tpu, a TPU topology such as v5e:4x4, v5p:2x2x4 or v6e:16x16, or
slices of it, 2xv5e:4x4. Steps are run and timed where the devices are here. For a topology they are
compiled ahead of time, which needs libtpu and no TPU: what does not fit is told by the compiler,
and the time of a step is projected from the chip's published peaks.

--xla_preset=tpu_async_all_gather and its like compile with XLA's flags (launch/xla_presets.py). A
row is a strategy on a mesh; it is shown when it is known and kept in OUT/cells by the hash of all
that decides it. Interrupted, the command goes on where it was. It takes a config of train_composer
or of train_autoencoder, and no data: what the data would tell a composer is told by flags, as in
launch.describe. Writes OUT/comparison.json and OUT/index.html beside the table. Exits with 2 where
there are no such devices, and with 1 where no cell could be compiled.
"""

import dataclasses
import json
import os
import pathlib
import sys

from absl import flags
from ml_collections import config_flags

from jen1composer.errors import RunFailed
from launch import command, given_by_data, xla_presets

_CONFIG = config_flags.DEFINE_config_file('config', None, 'Config, e.g. configs/demo.py.')
_DEVICES = flags.DEFINE_string(
    'devices', None, 'E.g. cpu:8, gpu, tpu, v5e:4x4, 2xv5e:4x4.', required=True
)
_OUT = flags.DEFINE_string(
    'out', None, 'Folder for the results; cells are kept there.', required=True
)
_STRATEGIES = flags.DEFINE_list('strategies', [], 'Of dp, fsdp, ...; by default all.')
_MESHES = flags.DEFINE_multi_string(
    'meshes', [], 'STRATEGY:SIZES, e.g. fsdp_tp:fsdp=4,tensor=2; once for each mesh.'
)
_SWEEP = flags.DEFINE_multi_string(
    'sweep', [], "Values of the config to try, e.g. 'batch=64,128 remat=none,block'."
)
_EFFORT = flags.DEFINE_float(
    'compile_effort', 0.0, '-1 halves the time of compiling, for a slower program.', -1.0, 1.0
)
_REPEATS = flags.DEFINE_integer(
    'repeats', 5, 'Steps that are timed where devices are here; 0: compile alone.', lower_bound=0
)
_KEEP_HLO = flags.DEFINE_bool('keep_hlo', False, 'Keep each compiled program as text.')
flags.adopt_module_key_flags(given_by_data)
flags.adopt_module_key_flags(xla_presets)


def main(argv: list[str]) -> None:
    del argv
    from launch.sharding_devices import Devices

    xla_presets.apply()
    devices = Devices.parse(_DEVICES.value)
    os.environ.update(devices.environment)  # before JAX is imported, here as in what measures

    from jen1composer.evaluation.page import render
    from jen1composer.sharding.strategies import STRATEGIES, strategy
    from launch import sharding_cells, sharding_report
    from launch.data_description import terminal

    names = _STRATEGIES.value or list(STRATEGIES)
    for name in names:
        strategy(name)
    config = given_by_data.with_batch(_CONFIG.value)
    cells = sharding_cells.make_cells(
        config,
        sharding_cells.parse_meshes(_MESHES.value, names),
        sharding_cells.parse_sweep(_SWEEP.value, config),
        devices=devices.text,
        given=given_by_data.given(),
        frames=given_by_data.frames(),
        compile_effort=_EFFORT.value,
        repeats=_REPEATS.value if devices.is_here else 0,
    )
    out = pathlib.Path(command.folder('--out', _OUT.value))
    kept = out / 'cells'
    if any(sharding_cells.known(cell, kept) is None for cell in cells):
        devices.require()
    rows: list[sharding_report.Row] = []
    print(sharding_report.heading(devices), flush=True)
    bar = command.progress(cells, 'cells')
    for cell in bar:
        found = sharding_cells.known(cell, kept)
        if found is None:
            found = sharding_cells.measured(cell, kept, _KEEP_HLO.value)
        rows.append(sharding_report.Row(cell=cell, found=found))
        bar.write(sharding_report.line(rows[-1]))
        sys.stdout.flush()
        if found['status'] == 'run':  # what its efficiency is told by
            one = cell.alone(found['num_devices'])
            alone = sharding_cells.known(one, kept) or sharding_cells.measured(one, kept)
            rows[-1] = dataclasses.replace(rows[-1], alone=alone)
    report = sharding_report.Report(devices=devices, rows=rows)
    print('\n' + terminal(sharding_report.tables(report)))
    (out / 'comparison.json').write_text(
        json.dumps(sharding_report.as_json(report), indent=1) + '\n'
    )
    (out / 'index.html').write_text(render(sharding_report.page(report)))
    print(json.dumps({'page': str(out / 'index.html'), 'json': str(out / 'comparison.json')}))
    if not any(row.compiled for row in rows):
        raise RunFailed('no cell could be compiled; the table says why of each')


if __name__ == '__main__':
    flags.mark_flag_as_required('config')
    command.run(main)
