"""The cells of a comparison: what each one is, and what is known of it on disk.

A cell is a strategy on a mesh, with a config, on devices. It is measured in a process of its own
(`launch.sharding_measurement`) and kept as OUT/cells/HASH.json, the hash being of all that decides
it, versions and sources included: a comparison that was interrupted goes on where it was, and one
cell more costs one cell.
"""

import copy
import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jen1composer.errors import BadInput
from launch.sharding_devices import Devices

ROOT = pathlib.Path(__file__).parents[1]
# Whose sources decide a program; of how it is read, `sharding_measurement.VERSION` tells.
SOURCES = (
    'jen1composer/diffusion',
    'jen1composer/models',
    'jen1composer/sharding/layout.py',
    'jen1composer/sharding/mesh.py',
    'jen1composer/sharding/rules.py',
    'jen1composer/sharding/strategies.py',
    'jen1composer/tracks.py',
    'jen1composer/training/adversary.py',
    'jen1composer/training/autoencoder_losses.py',
    'jen1composer/training/autoencoder_step.py',
    'jen1composer/training/composer_step.py',
    'jen1composer/training/optimizer.py',
    'jen1composer/training/program.py',
    'jen1composer/training/schedules.py',
    'jen1composer/training/spikes.py',
    'jen1composer/training/state.py',
    'jen1composer/training/step.py',
    'jen1composer/training/trainable.py',
    'launch/autoencoder_sections.py',
    'launch/composer_sections.py',
    'launch/description.py',
)
PACKAGES = ('jax', 'jaxlib', 'flax', 'optax')
FLAGS = ('XLA_FLAGS', 'LIBTPU_INIT_ARGS')  # variables that the compiler reads
# Sections of a config that say nothing about a step.
BESIDE_THE_STEP = ('loop', 'sharding', 'validation_batches', 'heldout')
UNFINISHED = ('failed',)  # measured again the next time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """What is measured together.

    Attributes:
        strategy, mesh: see `sharding.strategies`; '' is its own mesh.
        devices: as `Devices.parse` takes it.
        swept: what of the config this cell has of its own, by key.
        config: with `swept` in it, as JSON has it.
        given, frames: see `description.subject_of`.
        compile_effort: -1 is half the compile time for a slower program, 0 as usual.
        repeats: steps that are timed, where they can be run.
    """

    strategy: str
    mesh: str
    devices: str
    swept: Mapping[str, Any]
    config: Mapping[str, Any]
    given: Mapping[str, int]
    frames: int | None
    compile_effort: float
    repeats: int

    @property
    def name(self) -> str:
        """For people."""
        parts = [self.strategy, self.mesh, *(f'{key}={x}' for key, x in self.swept.items())]
        return ' '.join(part for part in parts if part)

    @property
    def batch(self) -> int:
        return int(self.config['batch'])

    @property
    def hash(self) -> str:
        """Of all that decides what is found."""
        from launch.sharding_measurement import VERSION

        known = dataclasses.asdict(self) | {'version': VERSION, 'code': fingerprint()}
        del known['swept']
        known['config'] = {k: v for k, v in self.config.items() if k not in BESIDE_THE_STEP}
        devices = Devices.parse(self.devices)
        packages = PACKAGES if devices.is_here else (*PACKAGES, 'libtpu')
        known['packages'] = {name: importlib.metadata.version(name) for name in packages}
        known['flags'] = {name: os.environ.get(name, '') for name in FLAGS}
        known['host'] = platform.node() if devices.is_here else ''  # its devices have no other name
        text = json.dumps(known, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def alone(self, num_devices: int) -> 'Cell':
        """One device with its share of the batch; with all of it where devices are simulated."""
        devices = Devices.parse(self.devices)
        config = dict(self.config)
        if not devices.is_simulated:
            config['batch'] = max(1, self.batch // num_devices)
        return dataclasses.replace(
            self, strategy='dp', mesh='', devices=devices.alone.text, config=config
        )


@functools.cache
def fingerprint() -> str:
    """Of the sources that decide a program."""
    digest = hashlib.sha256()
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob('*.py')) if path.is_dir() else [path]:
            digest.update(str(file.relative_to(ROOT)).encode() + b'\0' + file.read_bytes())
    return digest.hexdigest()


# ---- From flags


def parse_meshes(texts: Sequence[str], strategies: Sequence[str]) -> dict[str, list[str]]:
    """Strategy -> its meshes, from texts such as 'fsdp_tp:fsdp=4,tensor=2'; [''] by default."""
    from jen1composer.sharding.mesh import MeshShape

    found: dict[str, list[str]] = {}
    for text in texts:
        name, colon, mesh = text.partition(':')
        if not colon or name not in strategies:
            raise BadInput(
                f'--meshes={text}: allowed is STRATEGY:SIZES, such as fsdp_tp:fsdp=4,tensor=2, '
                f'of {", ".join(strategies)}'
            )
        MeshShape.parse(mesh)
        found.setdefault(name, []).append(mesh)
    return {name: found.get(name, ['']) for name in strategies}


def parse_sweep(texts: Sequence[str], config: ConfigDict) -> dict[str, list[Any]]:
    """Key of the config -> values, from texts such as 'batch=64,128 remat=none,block'.

    A key is dotted, or the last part of one where that is not there twice.
    """
    keys = dict(_leaves(config.to_dict()))
    found: dict[str, list[Any]] = {}
    for text in ' '.join(texts).split():
        name, _, values = text.partition('=')
        fits = [key for key in keys if key == name] or [
            key for key in keys if key.split('.')[-1] == name
        ]
        if len(fits) != 1 or not values:
            which = f'it is one of {", ".join(fits)}' if fits else 'the config has no such key'
            which = 'without values' if len(fits) == 1 else which
            raise BadInput(
                f'--sweep={text}: {which}; allowed are keys of the config with values, such as '
                'batch=64,128'
            )
        found[fits[0]] = [_like(keys[fits[0]], value, text) for value in values.split(',')]
    return found


def make_cells(
    config: ConfigDict,
    meshes: Mapping[str, Sequence[str]],
    sweep: Mapping[str, Sequence[Any]],
    **same: Any,
) -> list[Cell]:
    """A cell for each strategy, mesh and combination of what is swept."""
    cells = []
    for values in itertools.product(*sweep.values()):
        swept = dict(zip(sweep, values, strict=True))
        changed = copy.deepcopy(config)
        changed.update_from_flattened_dict(swept)
        plain = json.loads(json.dumps(changed.to_dict()))
        cells += [
            Cell(strategy=name, mesh=mesh, swept=swept, config=plain, **same)
            for name, of_strategy in meshes.items()
            for mesh in of_strategy
        ]
    return cells


def _leaves(tree: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f'{prefix}{name}.')
        else:
            yield f'{prefix}{name}', value


def _like(known: Any, text: str, flag: str) -> Any:
    """`text` in the type of the config's value."""
    try:
        if isinstance(known, bool):
            return {'true': True, 'false': False}[text.lower()]
        return type(known)(text) if isinstance(known, int | float | str) else json.loads(text)
    except (KeyError, ValueError) as error:
        raise BadInput(
            f'--sweep={flag}: {text!r}; allowed are values like {known!r}, as the config has it'
        ) from error


# ---- Measured, or known


def known(cell: Cell, folder: pathlib.Path) -> dict[str, Any] | None:
    """What was found before, if it was."""
    path = folder / f'{cell.hash}.json'
    if not path.exists():
        return None
    found = json.loads(path.read_text())['found']
    return None if found['status'] in UNFINISHED else found


def measured(cell: Cell, folder: pathlib.Path, keep_hlo: bool = False) -> dict[str, Any]:
    """What is found of a cell now, which is kept; a cell that dies says so and is not kept for."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f'{cell.hash}.json'
    asked, told = path.with_suffix('.asked'), path.with_suffix('.told')
    asked.write_text(json.dumps({'cell': dataclasses.asdict(cell), 'keep_hlo': keep_hlo}))
    told.unlink(missing_ok=True)
    child = subprocess.run(
        [sys.executable, '-m', 'launch.sharding_measurement', str(asked), str(told)],
        cwd=ROOT,
        env=os.environ | dict(Devices.parse(cell.devices).environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        found = json.loads(told.read_text())
    else:
        found = {'status': 'failed', 'reason': _why(child.returncode, child.stderr)}
        path.with_suffix('.log').write_text(child.stderr)
    aside = path.with_suffix('.new')
    aside.write_text(json.dumps({'cell': dataclasses.asdict(cell), 'found': found}, indent=1))
    aside.replace(path)
    asked.unlink()
    told.unlink(missing_ok=True)
    return found


def _why(status: int, errors: str) -> str:
    if status < 0:
        killed = ', as the system does where memory is short' if status == -9 else ''
        return f'the process was ended by signal {-status}{killed}'
    lines = [line for line in errors.splitlines() if re.match(r'[\w.]+(Error|Exception)\b', line)]
    return (lines or errors.strip().splitlines() or [f'exit status {status}'])[-1][:200]
