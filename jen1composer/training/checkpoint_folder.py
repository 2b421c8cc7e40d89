"""A folder of checkpoints as its readers see it: the newest whole one, what is wrong with others.

Orbax names a checkpoint by its step, and gives what is not yet committed another name or no mark.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import orbax.checkpoint as ocp
from absl import logging
from etils import epath

from jen1composer.errors import BadInput, require
from jen1composer.training.checkpoint_manifest import damage, read_manifest
from jen1composer.training.files import in_bucket


class NoCheckpoint(BadInput):
    """A folder that no run has saved into."""


def absolute(folder: epath.PathLike) -> epath.Path:
    """Orbax writes to absolute paths only; a bucket's address is one."""
    path = epath.Path(folder)
    return path if in_bucket(folder) else path.absolute()


@contextlib.contextmanager
def opened(
    folder: epath.PathLike, step: int | None = None
) -> Iterator[tuple[ocp.CheckpointManager, int]]:
    """Opens `folder` for reading the checkpoint of `step`, else its newest whole one, and its step.

    Raises BadInput where there is none, and where it is damaged.
    """
    folder = absolute(folder)
    if folder.exists():
        handlers = {'state': ocp.PyTreeCheckpointHandler(), 'meta': ocp.JsonCheckpointHandler()}
        with ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
            steps = manager.all_steps()
            if step is not None:
                allowed = ', '.join(map(str, steps))
                require(step in steps, f'{folder}: step', step, f'are {allowed}')
                steps = [step]
            if steps:
                newest, damaged = newest_whole(folder, steps)
                warn_skipped(folder, newest, damaged)
                yield manager, newest
                return
    raise NoCheckpoint(f'{folder}: holds no checkpoint; allowed is a folder a run has saved into')


def newest_whole(folder: epath.Path, steps: Sequence[int]) -> tuple[int, Mapping[int, str]]:
    """The newest of `steps` whose checkpoint is whole; newer ones, and what is wrong with them.

    Raises BadInput where none is whole.
    """
    damaged: dict[int, str] = {}
    for step in sorted(steps, reverse=True):
        wrong = damage(folder / str(step))
        if wrong is None:
            return step, damaged
        damaged[step] = wrong
    said = '; '.join(f'that of step {step} is damaged ({damaged[step]})' for step in damaged)
    raise BadInput(f'{folder}: no checkpoint is whole: {said}')


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


def warn_skipped(folder: epath.Path, step: int, damaged: Mapping[int, str]) -> None:
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


@contextlib.contextmanager
def readable(folder: epath.PathLike, step: int) -> Iterator[None]:
    """What Orbax raises over files that are all there and cannot be read becomes one line."""
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        raise BadInput(
            f'{folder}: the checkpoint of step {step} is damaged ({one_line(error)}); remove its '
            'folder, and the one before is used'
        ) from error


def one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:120] or type(error).__name__
