"""What each strategy sends in a step of a tiny composer on eight simulated devices, on record.

    python -m tests.jen1composer.sharding.traffic_recording

compiles the programs anew and writes traffic.json beside this file; what has changed in it is then
in the change that is reviewed. Compilers of other versions may send other things, so the version
that it was written with is in it.
"""

import json
import pathlib
from typing import Any

import jax

from jen1composer.sharding.collectives import read_collectives, traffic
from jen1composer.sharding.strategies import STRATEGIES
from tests.jen1composer.sharding import equality
from tests.jen1composer.sharding.equality import Cell

PATH = pathlib.Path(__file__).with_name('traffic.json')


def cell(name: str) -> Cell:
    """One that `equality.cover` has too, so that it is compiled once."""
    return next(
        cell
        for cell in equality.cover()
        if (cell.stage, cell.strategy, cell.remat) == ('composer', name, 'none')
    )


def sent_by(name: str) -> dict[str, dict[str, Any]]:
    """Times and bytes of a strategy, by 'kind over axes'."""
    layout = equality.layout_of(cell(name))
    text = equality.trained(cell(name)).hlo
    return {
        f'{row.kind} over {" x ".join(row.axes or ("?",))}': {
            'times': row.count,
            'bytes': round(row.bytes_sent),
        }
        for row in traffic(read_collectives(text, layout.mesh.shape))
    }


def main() -> None:
    recording = {'jax': jax.__version__, 'sent': {name: sent_by(name) for name in STRATEGIES}}
    PATH.write_text(json.dumps(recording, indent=1) + '\n')


if __name__ == '__main__':
    jax.config.update('jax_num_cpu_devices', 8)
    main()
