"""A folder of checkpoints as its readers see it: the newest whole one, what is wrong with others.

Orbax names a checkpoint by its step, and gives what is not yet committed another name or no mark.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar, cast

import jax
import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from jen1composer.errors import BadInput, require
from jen1composer.training.checkpoint_manifest import (
    NAME,
    damage,
    has_manifest,
    read_manifest,
)
from jen1composer.training.files import in_bucket

T = TypeVar('T')


class NoCheckpoint(BadInput):
    """A folder that no run has saved into."""


def absolute(folder: epath.PathLike) -> epath.Path:
    """Orbax writes to absolute paths only; a bucket's address is one."""
    path = epath.Path(folder)
    return path if in_bucket(folder) else path.absolute()


class Newest(NamedTuple, Generic[T]):
    """The checkpoint that was read, and what is wrong with newer ones, by step."""

    step: int
    value: T
    damaged: Mapping[int, str]


def reading(folder: epath.Path, **handlers: ocp.CheckpointHandler) -> ocp.CheckpointManager:
    """A manager that this process reads with, whatever the others do.

    With one that is of all hosts, those that can read their part would wait for ever for one that
    cannot.
    """
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f'host{me}'
    )
    options = ocp.CheckpointManagerOptions(
        create=False, enable_async_checkpointing=False, multiprocessing_options=alone
    )
    return ocp.CheckpointManager(folder, options=options, item_handlers=handlers or None)


def read_newest(
    folder: epath.PathLike,
    read: Callable[[ocp.CheckpointManager, int], T],
    step: int | None = None,
) -> Newest[T]:
    """What `read(manager, step)` makes of the newest whole checkpoint, or of that of `step`.

    Those that are skipped are named in a warning.
    Raises BadInput where there is none, and where none can be read.
    """
    folder = absolute(folder)
    if folder.exists():
        with reading(
            folder, state=ocp.PyTreeCheckpointHandler(), meta=ocp.JsonCheckpointHandler()
        ) as manager:
            steps = manager.all_steps()
            if step is not None:
                allowed = ', '.join(map(str, steps))
                require(step in steps, f'{folder}: step', step, f'are {allowed}')
            if steps:
                return newest_whole(folder, steps, functools.partial(read, manager), only=step)
    raise NoCheckpoint(f'{folder}: holds no checkpoint; allowed is a folder a run has saved into')


def newest_whole(
    folder: epath.Path,
    steps: Sequence[int],
    read: Callable[[int], T],
    *,
    only: int | None = None,
    agree: Callable[[bool], bool] = bool,
) -> Newest[T]:
    """The newest of `steps`, or `only` that, whose files are all there and which `read` can read.

    `agree` makes one answer of those of several hosts, to whether a checkpoint is whole.
    Raises BadInput where none is; what `read` refuses as BadInput goes through.
    """
    damaged: dict[int, str] = {}
    for step in sorted(steps if only is None else [only], reverse=True):
        wrong, value = damage_among(folder, step, steps), None
        if wrong is None:
            try:
                value = read(step)
            except BadInput:
                raise
            except Exception as error:
                if not _of_content(error):
                    raise
                wrong = one_line(error)
        if agree(wrong is None):
            _warn_skipped(folder, step, damaged)
            return Newest(step, cast(T, value), damaged)
        damaged[step] = wrong or 'another host cannot read it'
    said = '; '.join(f'that of step {step} is damaged ({damaged[step]})' for step in damaged)
    raise BadInput(f'{folder}: no checkpoint is whole: {said}')


def damage_among(folder: epath.Path, step: int, steps: Sequence[int]) -> str | None:
    """What is wrong with the files of the checkpoint of `step`; None where nothing is.

    One without a manifest is from before there were any, unless one of `steps` that is older has
    one: then it was lost.
    """
    wrong, older = damage(folder / str(step)), (other for other in steps if other < step)
    if wrong or has_manifest(folder / str(step)):
        return wrong
    lost = any(has_manifest(folder / str(other)) for other in older)
    return f'{NAME} is missing' if lost else None


def half_written(folder: epath.Path) -> list[str]:
    """Names of what is being written in `folder`, or was when its writer was killed."""
    if not folder.exists():
        return []
    committed = {str(step) for step in checkpoint_steps(folder)}
    names = (path.name for path in folder.iterdir())
    return sorted(n for n in names if n.partition('.')[0].isdecimal() and n not in committed)


def permanent_steps(folder: epath.Path) -> list[int]:
    """Steps of the checkpoints in `folder` that were saved to be kept for ever."""
    found = []
    for step in checkpoint_steps(folder):
        with contextlib.suppress(ValueError, TypeError):  # damaged: no longer worth keeping
            manifest = read_manifest(folder / str(step))
            if manifest and manifest.permanent:
                found.append(step)
    return found


def checkpoint_steps(folder: epath.Path) -> list[int]:
    """Steps of all checkpoints in `folder` that were committed, in order."""
    return sorted(found.step for found in ocp.path.step.standard_name_format().find_all(folder))


def _warn_skipped(folder: epath.Path, step: int, damaged: Mapping[int, str]) -> None:
    """Names what is newer than the checkpoint of `step`, and is skipped."""
    for other, wrong in damaged.items():
        logging.warning(
            '%s: the checkpoint of step %d is damaged (%s); that of step %d is used',
            folder,
            other,
            wrong,
            step,
        )
    for name in half_written(folder):
        if int(name.partition('.')[0]) > step:
            logging.warning('%s: %s is half-written; step %d is used', folder, name, step)


def _of_content(error: Exception) -> bool:
    """Whether it is what Orbax raises over files that are all there and cannot be read.

    Some of that is a bare Exception. What is raised for want of memory is a RuntimeError.
    """
    return (
        isinstance(error, ValueError | OSError | KeyError | TypeError) or type(error) is Exception
    )


def one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:120] or type(error).__name__
