"""Compiles, and where its devices are here runs, one cell of `launch.compare_sharding`.

  python -m launch.sharding_measurement IN.json OUT.json

In a process of its own, in the environment of its devices: what the compiler takes is given back,
and where it dies the others go on. What it writes is `measure`'s, or {'status': 'refused' or
'out of memory', 'reason': one line}.
"""

import dataclasses
import json
import os
import pathlib
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.stages import Compiled
from ml_collections import ConfigDict

from jen1composer.errors import BadInput
from jen1composer.sharding.collectives import read_collectives, traffic
from jen1composer.sharding.costs import bytes_a_device, compiled_costs
from jen1composer.sharding.ideal import Notebook, ideal_bytes
from jen1composer.sharding.layout import check_batch
from jen1composer.sharding.mesh import num_slices
from jen1composer.sharding.strategies import strategy
from jen1composer.training.program import Program, Recipe, make_program
from jen1composer.training.state import PyTree, parameter_count
from launch.description import GivenByData, Subject, subject_of
from launch.sharding_devices import Devices
from launch.sharding_section import make_accumulate

VERSION = 3  # of what is measured and how it is read: what is kept of another is not used
WARM_UP = 2
OUT_OF_MEMORY = 'RESOURCE_EXHAUSTED'


def measure(cell: Mapping[str, Any], hlo: pathlib.Path | None = None) -> dict[str, Any]:
    """Everything about a cell (`launch.sharding_cells.Cell`), as JSON.

    `hlo` is where the compiled program is written as text. Raises BadInput for a cell that cannot
    be, and what XLA raises where it does not fit in memory.
    """
    devices = Devices.parse(cell['devices'])
    here = devices.find()
    config = ConfigDict(_with_tuples(cell['config']))
    layout = strategy(cell['strategy']).layout(cell['mesh'], here)
    accumulate = make_accumulate(config)
    check_batch(config.batch, layout, accumulate)
    subject = subject_of(config, GivenByData(**cell['given']), cell['frames'], layout)
    program = make_program(
        Recipe(
            init_params=subject.init_params,
            loss_fn=subject.loss_fn,
            optimizer=subject.optimizer,
            ema_decay=subject.ema_decay,
            layout=layout,
            accumulate=accumulate,
        )
    )
    state = program.abstract
    found: dict[str, Any] = {
        'status': 'compiled',
        'device_kind': here[0].device_kind,
        'num_devices': len(here),
        'num_slices': num_slices(here),
        'num_hosts': len({device.process_index for device in here}),
        'mesh': {axis: size for axis, size in layout.mesh.shape.items() if size > 1},
        'batch_parts': layout.batch_parts,
        'parameters': parameter_count(state.params),
        'bytes': {
            'parameters': bytes_a_device(state.params),
            'optimizer': bytes_a_device(state.opt_state),
            'average': bytes_a_device(state.ema),
        },
        'left_whole_bytes': sum(whole.num_bytes for whole in program.left_whole),
        'flops': {
            'counted': subject.gradient_flops / layout.work_parts,
            'model': subject.model_flops / layout.work_parts,
        },
    }
    notebook = Notebook()
    plain = subject_of(config, GivenByData(**cell['given']), cell['frames'], notebook)
    found['ideal'] = ideal_bytes(
        plain.forward,
        (state.params, plain.batch),
        notebook,
        layout=layout,
        num_parameters=found['parameters'],
        accumulate=accumulate,
    )
    begun = time.perf_counter()
    lowered = program.step.trace(state, _batch_shapes(subject, program)).lower(
        lowering_platforms=('cuda' if devices.platform == 'gpu' else devices.platform,)
    )
    lowered_at = time.perf_counter()
    effort = cell['compile_effort']
    compiled = lowered.compile({'exec_time_optimization_effort': effort} if effort else None)
    found['seconds'] = {
        'lower': lowered_at - begun,
        'compile': time.perf_counter() - lowered_at,
    }
    text = compiled.as_text()
    if hlo is not None:
        hlo.write_text(text)
    costs = dataclasses.asdict(compiled_costs(compiled, devices.platform))
    found['flops']['compiled'] = costs.pop('flops')
    found['bytes']['accessed'] = costs.pop('bytes_accessed')
    found['bytes'] |= {name.removesuffix('_bytes'): value for name, value in costs.items()}
    rows = traffic(read_collectives(text, layout.mesh.shape, num_slices(here)))
    found['collectives'] = [dataclasses.asdict(row) for row in rows]
    if devices.is_here and cell['repeats']:
        found |= _run(program, compiled, subject, cell['repeats'])
    found['host_gib'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return found


def _run(program: Program, compiled: Compiled, subject: Subject, repeats: int) -> dict[str, Any]:
    """Steps on a batch of noise: the median time of one, and the least."""
    state = jax.block_until_ready(program.begin())
    batch = jax.tree.map(lambda leaf: jax.device_put(_noise(leaf), program.batch), subject.batch)
    times = []
    for _ in range(WARM_UP + repeats):
        begun = time.perf_counter()
        state, metrics = compiled(state, batch)
        jax.block_until_ready((state, metrics))
        times.append(time.perf_counter() - begun)
    timed = times[WARM_UP:]
    peak = (jax.local_devices()[0].memory_stats() or {}).get('peak_bytes_in_use')
    return {
        'status': 'run',
        'step': {'median_s': float(np.median(timed)), 'least_s': min(timed), 'steps': repeats},
        'loss': float(metrics['loss']),
        'peak_bytes_in_use': peak,
    }


def _batch_shapes(subject: Subject, program: Program) -> PyTree:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=program.batch),
        subject.batch,
    )


def _noise(leaf: jax.ShapeDtypeStruct) -> np.ndarray:
    """Noise, of a batch whose every task is to make all tracks from a full prompt."""
    if leaf.dtype == bool:
        return np.ones(leaf.shape, bool)
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return np.random.default_rng(0).normal(0, 0.1, leaf.shape).astype(leaf.dtype)
    if leaf.dtype == jnp.uint32:  # the index of an example
        return np.arange(leaf.shape[0], dtype=np.uint32)
    return np.zeros(leaf.shape, leaf.dtype)


def _with_tuples(config: Any) -> Any:
    """JSON has lists where a config has tuples."""
    if isinstance(config, Mapping):
        return {name: _with_tuples(value) for name, value in config.items()}
    return tuple(map(_with_tuples, config)) if isinstance(config, list) else config


def out_of_memory(message: str) -> str:
    """The line of XLA's that says how much was wanted of how much, or the first."""
    wanted = re.search(r'Used ([\d.]+\w) of ([\d.]+\w) hbm', message)
    if wanted:
        return f'needs {wanted[1]} of {wanted[2]} HBM'
    return message.strip().splitlines()[0][:200]


def end_with_parent() -> None:
    """Ends this process when the command that wants its result has ended, at Ctrl-C at once."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own would wait for the compiler
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(argv: list[str]) -> None:
    end_with_parent()
    source, target = map(pathlib.Path, argv[1:])
    asked = json.loads(source.read_text())
    hlo = target.with_suffix('.hlo') if asked['keep_hlo'] else None
    try:
        found = measure(asked['cell'], hlo)
    except BadInput as error:
        found = {'status': 'refused', 'reason': str(error)}
    except (ValueError, RuntimeError) as error:  # XLA's is one of the latter
        if OUT_OF_MEMORY not in str(error):
            raise
        found = {'status': 'out of memory', 'reason': out_of_memory(str(error))}
    target.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main(sys.argv)
