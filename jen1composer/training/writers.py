"""Where rows of metrics go: always to metrics.jsonl, and on demand to TensorBoard and W&B.

Both are somebody else's packages and optional: what is asked for and not installed is refused.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.training.metrics import MetricsFile, Writer

PACKAGES = {'tensorboard': 'tensorboardX', 'wandb': 'wandb'}  # by what the config calls them


class Writers:
    """Hands each row to several writers; to none on hosts other than the first."""

    def __init__(self, writers: Sequence[Writer]):
        self._writers = writers

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        for writer in self._writers:
            writer.write(step, values)


class TensorBoard:
    """Scalars as event files in WORKDIR/tensorboard; what is no number is text."""

    def __init__(self, workdir: epath.Path, first_step: int):
        package = _package('tensorboard')
        # Of a session before, what was lost is hidden: rows from the next step on.
        self._writer = package.SummaryWriter(
            str(workdir / 'tensorboard'), purge_step=first_step + 1 if first_step else None
        )

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if isinstance(value, str | list | dict):
                self._writer.add_text(name, json.dumps(value), step)
            else:
                self._writer.add_scalar(name, float(value), step)
        self._writer.flush()


class WandB:
    """One W&B run per workdir, which goes on when the run does; account and project are W&B's."""

    def __init__(self, workdir: epath.Path, first_step: int):
        del first_step
        package = _package('wandb')
        remembered = workdir / 'wandb_id.txt'
        known = remembered.read_text() if remembered.exists() else None
        self._run = package.init(dir=str(workdir), name=workdir.name, id=known, resume='allow')
        remembered.write_text(self._run.id)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        kept = str | list | dict
        plain = {k: v if isinstance(v, kept) else float(v) for k, v in values.items()}
        self._run.log(plain, step=step)


KINDS = {'tensorboard': TensorBoard, 'wandb': WandB}


def open_writers(workdir: epath.Path, names: Sequence[str], first_step: int) -> Writer:
    """The writers of a run in `workdir` that begins at `first_step`, on the first host.

    Raises BadInput where one is not known or not installed.
    """
    for name in names:
        if name not in KINDS:
            raise BadInput(f'loop.writers: {name!r}; allowed are {", ".join(KINDS)}')
        _package(name)
    if jax.process_index() > 0:
        return Writers([])
    others: list[Any] = [KINDS[name](workdir, first_step) for name in names]
    return Writers([MetricsFile(workdir / 'metrics.jsonl', first_step=first_step), *others])


def _package(name: str) -> Any:
    try:
        return importlib.import_module(PACKAGES[name])
    except ImportError as error:
        raise BadInput(
            f'loop.writers: {name!r} is not installed; needed is pip install {PACKAGES[name]}'
        ) from error
