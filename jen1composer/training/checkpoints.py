"""Checkpoints: the whole state with the config and data it belongs to, through Orbax.

One checkpoint holds the state (parameters, optimiser, moving average, step) and `identity`, a flat
description of all that decides the numbers: model, optimiser, curriculum, seed, data fingerprint. A
run is resumed only with the identity it began with, but for keys that it is told may change; what
differs is named. Beside it stands `data`, where the run is in its data if the step alone does not
say it. Saving is asynchronous and by time, so that an interruption costs at most `save_every_s`.

The newest few are kept, and those of every so many steps for ever. Who reads gets the newest whole
one: what is half-written or damaged (see `checkpoint_manifest`) is named in a warning and skipped.
A state comes back on any number of devices in any layout: what is saved is arrays, not placements.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint import checkpoint_managers as preservation

from jen1composer.errors import BadInput, RunFailed
from jen1composer.training import hosts
from jen1composer.training.checkpoint_folder import (
    NoCheckpoint,
    absolute,
    half_written,
    newest_whole,
    one_line,
    permanent_steps,
    read_newest,
    reading,
)
from jen1composer.training.checkpoint_manifest import write_manifest
from jen1composer.training.state import TrainState

Identity = Mapping[str, Any]  # flat: 'model.channels' -> JSON value


class Meta(NamedTuple):
    """What a checkpoint says beside the state; `data` is None where it was written without."""

    step: int
    identity: Identity
    data: Any


class Checkpoints:
    """The checkpoints of one run, in `folder`; `identity` and `data` are JSON and are saved along.

    `may_change` holds the beginnings of keys of `identity` in which a checkpoint may differ.
    The newest `keep` stay, and for ever those of a multiple of `keep_every_steps` (0: none) and
    those that an earlier run in this folder has kept so. What a killed run left half-written is
    removed.
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
        keep_every_steps: int = 0,
    ):
        self._folder = absolute(folder)
        self._meta = {'identity': dict(identity), 'data': data}
        self._may_change = tuple(may_change)
        self._save_every_s = save_every_s
        self._keep_every_steps = keep_every_steps
        self._saved_at = time.monotonic()
        self._saving: int | None = None  # the step of the last save that was begun
        kept = [preservation.LatestN(keep), preservation.CustomSteps(permanent_steps(self._folder))]
        if keep_every_steps:
            kept.append(preservation.EveryNSteps(keep_every_steps))
        half = half_written(self._folder)
        if half:
            logging.warning('%s: left half-written and removed: %s', folder, ', '.join(half))
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=preservation.AnyPreservationPolicy(kept),
                cleanup_tmp_directories=True,
                async_options=ocp.AsyncOptions(
                    post_finalization_callback=self._before_commit,
                    # Else a folder that cannot be made is waited for, five minutes at the exit.
                    create_directories_asynchronously=False,
                ),
            ),
        )

    def latest_step(self) -> int | None:
        """Steps done at the newest whole checkpoint, or None where there is no checkpoint.

        Raises BadInput where there are some and all are damaged.
        """
        steps = self._manager.all_steps()
        return newest_whole(self._folder, steps, lambda step: None).step if steps else None

    def restore(self, abstract: TrainState) -> TrainState:
        """The newest whole checkpoint, placed as `abstract` says (shapes, dtypes and shardings).

        Where one host cannot read its part all turn to the one before. Damaged ones that are newer
        are renamed to damaged-STEP, out of the way of what follows.

        Raises BadInput where it was written under another identity, and where none is whole;
        RunFailed where it is not the one whose `data` this run was made for.
        """

        def read(step: int) -> tuple[Any, TrainState]:
            meta_alone = ocp.args.Composite(meta=ocp.args.JsonRestore())
            meta = manager.restore(step, args=meta_alone)['meta']
            given = self._meta['identity']
            check_identity(self._folder, meta['identity'], given, self._may_change)
            state_alone = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
            return meta.get('data'), manager.restore(step, args=state_alone)['state']

        with reading(self._folder) as manager:
            steps = self._manager.all_steps()
            found = newest_whole(self._folder, steps, read, agree=hosts.all_agree)
        data, state = found.value
        # Whoever made this run has gone by what the newest says of its data, if that can be read.
        elsewhere = bool(found.damaged) and read_meta(self._folder).step != found.step
        self._set_aside(found.damaged)
        if elsewhere and data != self._meta['data']:
            aside = ', '.join(f'damaged-{step}' for step in found.damaged)
            raise RunFailed(
                f'{self._folder}: what could not be read was set aside ({aside}); start the same '
                f'command again, it goes on from step {found.step}'
            )
        return state

    def due(self) -> bool:
        """Whether to save by the clock; raises RunFailed where the save before went wrong."""
        if not self._manager.is_saving_in_progress():
            self._finish()
        return time.monotonic() - self._saved_at >= self._save_every_s

    def save(self, step: int, state: TrainState) -> None:
        """Starts saving; returns once the state is copied and may be donated again.

        Raises RunFailed where this one cannot be begun, or the one before went wrong.
        """
        self._finish()
        if self._manager.latest_step() == step:
            return
        self._saving = step
        with self._saved():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state),
                    meta=ocp.args.JsonSave(self._meta),
                ),
            )
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """Waits until all that was saved is on disk; raises RunFailed where it is not."""
        self._finish()
        self._manager.close()

    def __enter__(self) -> 'Checkpoints':
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Closes; an error that is on its way out is not hidden by one of a save's.

        A save that was begun comes to its end there too: it is whole, and where this process goes
        on in the same folder nobody writes there any more.
        """
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.close()

    def is_permanent(self, step: int) -> bool:
        """Whether the checkpoint of `step` is one that is kept for ever."""
        return self._keep_every_steps > 0 and step % self._keep_every_steps == 0

    def _finish(self) -> None:
        """Waits for a save that was begun.

        Not `check_for_errors`: it would take the error from the thread that removes old
        checkpoints once the new one is there.
        """
        with self._saved():
            self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _saved(self) -> Iterator[None]:
        """Whatever goes wrong with a save becomes one line that names its step."""
        try:
            yield
        except Exception as error:
            raise RunFailed(
                f'{self._folder}: the checkpoint of step {self._saving} could not be saved '
                f'({one_line(error)}); what was saved before stays'
            ) from error

    def _before_commit(self) -> None:
        """Orbax calls this on its thread when all is written; what it raises, the save raises."""
        if jax.process_index() == 0:
            (written,) = (
                path
                for path in self._folder.iterdir()
                if path.name.partition('.')[0] == str(self._saving)
            )
            write_manifest(written, permanent=self.is_permanent(self._saving or 0))

    def _set_aside(self, steps: Iterable[int]) -> None:
        """Renames checkpoints, so that their steps can be saved again; nothing is thrown away."""
        if not steps:
            return
        multihost_utils.sync_global_devices('restored')
        if jax.process_index() == 0:
            for step in steps:
                aside = self._folder / f'damaged-{step}'
                if aside.exists():
                    aside.rmtree()
                (self._folder / str(step)).rename(aside)
        multihost_utils.sync_global_devices('set aside')
        self._manager.reload()


def restore_ema(folder: epath.PathLike, step: int | None = None) -> tuple[Any, int]:
    """The averaged weights of a checkpoint in `folder`, as numpy arrays, and its step.

    That of `step`, else the newest whole one. Nothing else is read, and no device or mesh need be
    there that wrote it. Raises BadInput where there is no checkpoint, or none is whole.
    """

    def read(manager: ocp.CheckpointManager, step: int) -> Any:
        saved = manager.item_metadata(step)['state'].tree['ema']
        target = {'ema': jax.tree.map(lambda _: 0, saved)}
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), target)
        ema_alone = ocp.args.PyTreeRestore(item=target, restore_args=as_numpy, partial_restore=True)
        return manager.restore(step, args=ocp.args.Composite(state=ema_alone))['state']['ema']

    found = read_newest(folder, read, step)
    return found.value, found.step


def read_meta(folder: epath.PathLike, step: int | None = None) -> Meta:
    """What a checkpoint in `folder` says of its run, without its state; which one as `restore_ema`.

    Raises BadInput where there is no checkpoint, or none is whole.
    """

    def read(manager: ocp.CheckpointManager, step: int) -> Meta:
        args = ocp.args.Composite(meta=ocp.args.JsonRestore())
        meta = manager.restore(step, args=args)['meta']
        return Meta(step=step, identity=meta['identity'], data=meta.get('data'))

    return read_newest(folder, read, step).value


def refuse_other_run(
    folder: epath.PathLike, identity: Identity, may_change: Sequence[str] = ()
) -> list[str]:
    """Raises BadInput where `folder` holds checkpoints of a run with another identity.

    Returns what differs and may, as `check_identity`.
    """
    with contextlib.suppress(NoCheckpoint):
        return check_identity(folder, read_meta(folder).identity, identity, may_change)
    return []


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
