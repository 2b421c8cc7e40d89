"""The grid of an ablation: a base config, variants as what they change of it, and seeds.

A *cell* is one variant with one seed, and what is found of it is kept as WORKDIR/cells/NAME.json;
its training is a run of its own in WORKDIR/runs/NAME. Both names end in a hash of all that decides
what is in them, so

(1) a cell that is there is never made again;
(2) a training that was interrupted goes on from its checkpoint;
(3) where only what is measured has changed, nothing is trained again.

Seeds come first: after the first of them there is a row for each variant.
"""

import copy
import dataclasses
import hashlib
import json
import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from ml_collections import ConfigDict

from jen1composer.errors import require
from jen1composer.training.files import write_whole
from jen1composer.training.run import Run
from jen1composer.training.state import PyTree

VERSION = 1  # of what is measured and how: cells of two versions are not compared
BASE = 'base'
OF_THE_GRID = ('variants', 'seeds', 'sampling', 'title')
BESIDE_THE_TRAINING = ('loop', 'measure')
LEAST_SEEDS = 3  # an interval of two is no interval

Rows = Mapping[str, Mapping[str, float]]  # what was measured, by measure, by row of the table


class Subject(Protocol):
    """What is trained and measured; the config is a cell's."""

    def run(self, config: ConfigDict, seed: int) -> Run: ...

    def measure(self, config: ConfigDict, seed: int, weights: PyTree) -> Rows:
        """Rows by name; that of the variant itself is called ''."""

    def forwards(self, config: ConfigDict) -> int:
        """Examples that go through the network in `measure`."""

    def anchors(self, config: ConfigDict) -> Rows:
        """What the truth scores, and what knows nothing."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A variant with a seed, and its whole config."""

    variant: str
    seed: int
    config: ConfigDict

    @property
    def run_name(self) -> str:
        return f'{self.variant}-{self.seed}-{_hash([self._trained, self.seed])}'

    @property
    def training(self) -> str:
        """What is trained, whatever the seed."""
        return f'{self.variant}-{_hash(self._trained)}'

    @property
    def name(self) -> str:
        known = {k: v for k, v in self._plain.items() if k != 'loop'}
        return f'{self.variant}-{self.seed}-{_hash([known, self.seed, VERSION])}'

    @property
    def _trained(self) -> dict[str, Any]:
        return {k: v for k, v in self._plain.items() if k not in BESIDE_THE_TRAINING}

    @property
    def _plain(self) -> dict[str, Any]:
        return json.loads(self.config.to_json())


def make_cells(config: ConfigDict) -> list[Cell]:
    """All cells of a config of launch.ablate; raises BadInput, naming the key."""
    seeds = tuple(config.seeds)
    require(
        len(set(seeds)) == len(seeds) >= LEAST_SEEDS,
        '--config.seeds',
        seeds,
        f'are {LEAST_SEEDS} or more different numbers',
    )
    base = ConfigDict({k: v for k, v in config.items() if k not in OF_THE_GRID})
    changes = {BASE: ConfigDict(), **config.variants}
    for name, change in changes.items():
        require(
            bool(re.fullmatch(r'[a-z0-9_]+', name)), '--config.variants', name, 'are a-z, 0-9 and _'
        )
        _require_known(base, change, f'--config.variants.{name}')
    sampled = tuple(config.get('sampling', ()))
    require(
        set(sampled) <= set(changes), '--config.sampling', sampled, f'are of {", ".join(changes)}'
    )

    def merged(name: str) -> ConfigDict:
        one = copy.deepcopy(base)
        one.update(changes[name])
        with one.measure.unlocked():
            one.measure.sampling = name in sampled
        return one

    configs = {name: merged(name) for name in changes}
    return [
        Cell(variant=name, seed=seed, config=configs[name]) for seed in seeds for name in configs
    ]


def known(cell: Cell, workdir: pathlib.Path) -> dict[str, Any] | None:
    """What was found of a cell before, if it was."""
    path = _path(cell, workdir)
    return json.loads(path.read_text()) if path.exists() else None


def keep(cell: Cell, workdir: pathlib.Path, found: Mapping[str, Any]) -> dict[str, Any]:
    """Writes what was found of a cell, whole or not at all."""
    path = _path(cell, workdir)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {'variant': cell.variant, 'seed': cell.seed, **found}
    write_whole(path, (json.dumps(said, indent=1) + '\n').encode())
    return said


def work(
    cells: Sequence[Cell],
    workdir: pathlib.Path,
    make: Callable[[Cell], Mapping[str, Any]],
    progress: Callable[[Sequence[Cell], str], Iterable[Cell]],
) -> Iterator[list[dict[str, Any]]]:
    """What is found so far: of the cells that are known, then with one more each time.

    `make` is asked for those that are not known, under the eyes of `progress`.
    """
    found = [kept for cell in cells if (kept := known(cell, workdir))]
    yield found
    left = [cell for cell in cells if known(cell, workdir) is None]
    for cell in progress(left, 'cells'):
        found = [*found, keep(cell, workdir, make(cell))]
        yield found


def _path(cell: Cell, workdir: pathlib.Path) -> pathlib.Path:
    return workdir / 'cells' / f'{cell.name}.json'


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def _require_known(base: Mapping, change: Mapping, where: str) -> None:
    """A variant changes what is there: a key that is not is a slip."""
    for key, value in change.items():
        require(key in base, where, key, f'are {", ".join(base)}')
        if isinstance(value, Mapping | ConfigDict):
            _require_known(base[key], value, f'{where}.{key}')
