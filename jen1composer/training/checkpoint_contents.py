"""What lies in a folder of checkpoints, for people: steps, sizes, the tree, the average alone."""

import json
import math
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
import safetensors.numpy
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.training.checkpoint_folder import (
    absolute,
    checkpoint_steps,
    damage_among,
    permanent_steps,
    read_newest,
)
from jen1composer.training.checkpoint_manifest import num_bytes
from jen1composer.training.checkpoints import read_meta, restore_ema
from jen1composer.training.files import write_whole


class Saved(NamedTuple):
    """A checkpoint from outside; `damage` says what is wrong with its files, if anything is."""

    step: int
    permanent: bool
    num_bytes: int
    damage: str | None


class Leaf(NamedTuple):
    """An array of a saved state; its name has the keys from the root, e.g. 'ema/out/kernel'."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    num_bytes: int


def saved_checkpoints(folder: epath.PathLike) -> list[Saved]:
    """All that were committed, by step."""
    folder = absolute(folder)
    permanent, steps = set(permanent_steps(folder)), checkpoint_steps(folder)
    return [
        Saved(
            step,
            step in permanent,
            num_bytes(folder / str(step)),
            damage_among(folder, step, steps),
        )
        for step in steps
    ]


def saved_leaves(folder: epath.PathLike, step: int | None = None) -> list[Leaf]:
    """The state's arrays in the checkpoint of `step`, else the newest whole one; none is read.

    Raises BadInput where there is no checkpoint, or none is whole.
    """

    def read(manager: ocp.CheckpointManager, step: int) -> Any:
        return manager.item_metadata(step)['state'].tree

    named = jax.tree_util.tree_leaves_with_path(read_newest(folder, read, step).value)
    return [
        Leaf(
            name=path_name(path),
            shape=tuple(leaf.shape),
            dtype=str(np.dtype(leaf.dtype)),
            num_bytes=math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize,
        )
        for path, leaf in named
    ]


def export_ema(folder: epath.PathLike, file: epath.PathLike, step: int | None = None) -> int:
    """Writes the averaged weights alone as safetensors, by names as of `Leaf` below 'ema/'.

    The file's metadata say `step` and, as JSON, `identity`. Returns the step.

    Raises BadInput where there is no whole checkpoint, or `file` cannot be written.
    """
    ema, step = restore_ema(folder, step)
    meta = read_meta(folder, step)
    arrays = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(ema)}
    said = {'step': str(step), 'identity': json.dumps(dict(meta.identity))}
    try:
        write_whole(file, safetensors.numpy.save(arrays, metadata=said))
    except OSError as error:
        raise BadInput(f'{file}: {error.strerror}; allowed is a file') from error
    return step


def path_name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator='/')
