"""Checkpoints: the whole state with the config and data it belongs to, through Orbax.

One checkpoint holds the state (parameters, optimiser, moving average, step) and `identity`, a flat
description of all that decides the numbers: model, optimiser, curriculum, seed, data fingerprint. A
run is resumed only with the identity it began with; what differs is named. Saving is asynchronous
and by time, so that an interruption costs at most `save_every_s`; a half-written one is not seen.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.training.state import TrainState

Identity = Mapping[str, Any]  # flat: 'model.channels' -> JSON value


class NoCheckpoint(BadInput):
    """A folder that no run has saved into."""


class Checkpoints:
    """The checkpoints of one run, in `folder`."""

    def __init__(
        self,
        folder: epath.PathLike,
        *,
        identity: Identity,
        save_every_s: float = 300.0,
        keep: int = 2,
    ):
        self._folder = _absolute(folder)
        self._identity = dict(identity)
        self._save_every_s = save_every_s
        self._saved_at = time.monotonic()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._manager = ocp.CheckpointManager(self._folder, options=options)

    def latest_step(self) -> int | None:
        """Steps done at the newest whole checkpoint, or None."""
        return self._manager.latest_step()

    def restore(self, abstract: TrainState) -> TrainState:
        """The newest checkpoint, placed as `abstract` says (shapes, dtypes and shardings).

        Raises BadInput where it was written under another identity.
        """
        step = self._manager.latest_step()
        with _whole(self._folder, step):
            meta = self._manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
        check_identity(self._folder, meta['meta']['identity'], self._identity)
        with _whole(self._folder, step):
            restored = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            )
        return restored['state']

    def due(self) -> bool:
        """Whether it is time to save; raises what went wrong with the save before, if it did."""
        self._manager.check_for_errors()
        return time.monotonic() - self._saved_at >= self._save_every_s

    def save(self, step: int, state: TrainState) -> None:
        """Starts saving; returns once the state is copied and may be donated again."""
        if self._manager.latest_step() == step:
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                meta=ocp.args.JsonSave({'identity': self._identity}),
            ),
        )
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """Waits until all that was saved is on disk."""
        self._manager.wait_until_finished()
        self._manager.close()


def restore_ema(folder: epath.PathLike) -> tuple[Any, int]:
    """The averaged weights of the newest checkpoint in `folder`, as numpy arrays, and its step.

    Nothing else is read, and no device or mesh need be there that wrote it.
    Raises BadInput where there is no checkpoint, or it is damaged.
    """
    with _newest(folder) as (manager, step), _whole(folder, step):
        saved = manager.item_metadata(step)['state'].tree['ema']
        target = {'ema': jax.tree.map(lambda _: 0, saved)}
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), target)
        ema_alone = ocp.args.PyTreeRestore(item=target, restore_args=as_numpy, partial_restore=True)
        restored = manager.restore(step, args=ocp.args.Composite(state=ema_alone))
    return restored['state']['ema'], step


def read_identity(folder: epath.PathLike) -> Identity:
    """The identity of the run whose newest checkpoint is in `folder`.

    Raises BadInput where there is no checkpoint.
    """
    with _newest(folder) as (manager, step), _whole(folder, step):
        restored = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
    return restored['meta']['identity']


def refuse_other_run(folder: epath.PathLike, identity: Identity) -> None:
    """Raises BadInput where `folder` holds checkpoints of a run with another identity."""
    with contextlib.suppress(NoCheckpoint):
        check_identity(folder, read_identity(folder), identity)


def _absolute(folder: epath.PathLike) -> epath.Path:
    """Orbax writes to absolute paths only; a bucket's address is one."""
    path = epath.Path(folder)
    return path if '://' in str(folder) else path.absolute()


def check_identity(where: Any, saved: Identity, given: Identity) -> None:
    """Raises BadInput that names the first keys in which two identities differ."""
    missing = object()
    differing = [
        f'{key} is {saved.get(key, "absent")!r} there, {given.get(key, "absent")!r} here'
        for key in sorted(set(saved) | set(given))
        if saved.get(key, missing) != given.get(key, missing)
    ]
    if differing:
        shown = '; '.join(differing[:3]) + ('; ...' if len(differing) > 3 else '')
        raise BadInput(f'{where}: was written by another config: {shown}; use another folder')


@contextlib.contextmanager
def _whole(folder: epath.PathLike, step: int | None) -> Iterator[None]:
    """What Orbax raises over a file that is missing or cut becomes one line."""
    try:
        yield
    except (ValueError, OSError, KeyError) as error:
        reason = ' '.join(str(error).split())[:120]
        raise BadInput(
            f'{folder}: the checkpoint of step {step} is damaged ({reason}); remove its folder, '
            'and the one before is used'
        ) from error


@contextlib.contextmanager
def _newest(folder: epath.PathLike) -> Iterator[tuple[ocp.CheckpointManager, int]]:
    """Opens `folder` for reading its newest checkpoint; raises BadInput where there is none."""
    folder = _absolute(folder)
    if folder.exists():
        handlers = {'state': ocp.PyTreeCheckpointHandler(), 'meta': ocp.JsonCheckpointHandler()}
        with ocp.CheckpointManager(folder, item_handlers=handlers) as manager:
            step = manager.latest_step()
            if step is not None:
                yield manager, step
                return
    raise NoCheckpoint(f'{folder}: holds no checkpoint; allowed is a folder a run has saved into')


def flat_identity(config: Mapping[str, Any], *, ignore: Sequence[str] = ()) -> dict[str, Any]:
    """A nested config as flat JSON values by dotted key, without the top-level keys in `ignore`."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if key in ignore:
            continue
        if isinstance(value, Mapping) or hasattr(value, 'items'):
            flat |= {f'{key}.{inner}': v for inner, v in flat_identity(value).items()}
        else:
            flat[key] = _lists(value)
    return flat


def _lists(value: Any) -> Any:
    """Tuples, however deep, as the lists that they are in JSON."""
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
