"""Checkpoints: the whole state with the config and data it belongs to, through Orbax.

One checkpoint holds the state (parameters, optimiser, moving average, step) and `identity`, a flat
description of all that decides the numbers: model, optimiser, curriculum, seed, data fingerprint. A
run is resumed only with the identity it began with, but for keys that it is told may change; what
differs is named. Beside it stands `data`, where the run is in its data if the step alone does not
say it. Saving is asynchronous and by time, so that an interruption costs at most `save_every_s`; a
half-written one is not seen.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.training.state import TrainState

Identity = Mapping[str, Any]  # flat: 'model.channels' -> JSON value


class NoCheckpoint(BadInput):
    """A folder that no run has saved into."""


class Meta(NamedTuple):
    """What a checkpoint says beside the state; `data` is None where it was written without."""

    step: int
    identity: Identity
    data: Any


class Checkpoints:
    """The checkpoints of one run, in `folder`; `identity` and `data` are JSON and are saved along.

    `may_change` holds the beginnings of keys of `identity` in which a checkpoint may differ.
    """

    def __init__(
        self,
        folder: epath.PathLike,
        *,
        identity: Identity,
        data: Any = None,
        may_change: Sequence[str] = (),
        save_every_s: float = 300.0,
        keep: int = 2,
    ):
        self._folder = _absolute(folder)
        self._meta = {'identity': dict(identity), 'data': data}
        self._may_change = tuple(may_change)
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
        saved, given = meta['meta']['identity'], self._meta['identity']
        check_identity(self._folder, saved, given, self._may_change)
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
                meta=ocp.args.JsonSave(self._meta),
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


def read_meta(folder: epath.PathLike) -> Meta:
    """What the newest checkpoint in `folder` says of its run, without its state.

    Raises BadInput where there is no checkpoint.
    """
    with _newest(folder) as (manager, step), _whole(folder, step):
        restored = manager.restore(step, args=ocp.args.Composite(meta=ocp.args.JsonRestore()))
    meta = restored['meta']
    return Meta(step=step, identity=meta['identity'], data=meta.get('data'))


def refuse_other_run(
    folder: epath.PathLike, identity: Identity, may_change: Sequence[str] = ()
) -> list[str]:
    """Raises BadInput where `folder` holds checkpoints of a run with another identity.

    Returns what differs and may, as `check_identity`.
    """
    with contextlib.suppress(NoCheckpoint):
        return check_identity(folder, read_meta(folder).identity, identity, may_change)
    return []


def _absolute(folder: epath.PathLike) -> epath.Path:
    """Orbax writes to absolute paths only; a bucket's address is one."""
    path = epath.Path(folder)
    return path if '://' in str(folder) else path.absolute()


def check_identity(
    where: Any, saved: Identity, given: Identity, may_change: Sequence[str] = ()
) -> list[str]:
    """What differs between two identities, of keys that begin with one of `may_change`.

    A name beside a fingerprint that agrees is what the same thing is called now, and is free.

    Raises BadInput that names the first others; hashes come last, since they say the least.
    """
    missing = object()

    def only_renamed(key: str) -> bool:
        outer, _, inner = key.rpartition('.')
        same = f'{outer}.fingerprint'
        return inner == 'name' and same in saved and saved[same] == given.get(same)

    differing = {
        key: f'{key} is {saved.get(key, "absent")!r} there, {given.get(key, "absent")!r} here'
        for key in sorted({*saved, *given}, key=lambda key: (key.endswith('fingerprint'), key))
        if saved.get(key, missing) != given.get(key, missing) and not only_renamed(key)
    }
    refused = [said for key, said in differing.items() if not key.startswith(tuple(may_change))]
    if refused:
        shown = '; '.join(refused[:3]) + ('; ...' if len(refused) > 3 else '')
        raise BadInput(f'{where}: was written by another config: {shown}; use another folder')
    return list(differing.values())


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
