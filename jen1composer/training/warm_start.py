"""A run that begins with the weights of another one.

Weights are known by their names, the path down to them. One is

    taken         where both have it, of one shape
    missing       where the saved ones lack it: it begins as it would have, at random
    unexpected    where only the saved ones have it: it is left out
    other shape   where the shapes differ: it begins at random too

Optimiser and step count begin anew.
"""

import enum
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from jen1composer.errors import BadInput
from jen1composer.training.state import PyTree, parameter_name


class Fate(enum.StrEnum):
    """What becomes of a weight."""

    TAKEN = 'taken'
    MISSING = 'missing'
    UNEXPECTED = 'unexpected'
    OTHER_SHAPE = 'other shape'


class Weight(NamedTuple):
    """A row of the table; a shape is None where there is no such weight."""

    name: str
    fate: Fate
    here: tuple[int, ...] | None
    saved: tuple[int, ...] | None


def compare(params: PyTree, saved: PyTree) -> list[Weight]:
    """The table of all weights on either side, by name; both trees hold arrays or their shapes."""
    here, there = _by_name(params), _by_name(saved)
    rows = []
    for name in sorted({*here, *there}):
        shapes = [tuple(side[name].shape) if name in side else None for side in (here, there)]
        if shapes[1] is None:
            fate = Fate.MISSING
        elif shapes[0] is None:
            fate = Fate.UNEXPECTED
        else:
            fate = Fate.TAKEN if shapes[0] == shapes[1] else Fate.OTHER_SHAPE
        rows.append(Weight(name, fate, *shapes))
    return rows


def warm_start(params: PyTree, saved: PyTree) -> tuple[PyTree, list[Weight]]:
    """`params` with the weights of `saved` that fit, and the table of all of them.

    Each weight stays where it lives and of the type it has: `params` are arrays on devices,
    `saved` numpy arrays, whole on every host.
    """
    table, there = compare(params, saved), _by_name(saved)
    taken = {row.name for row in table if row.fate == Fate.TAKEN}

    def begun(path: Any, leaf: jax.Array) -> jax.Array:
        name = parameter_name(path)
        if name not in taken:
            return leaf
        whole = np.asarray(there[name], leaf.dtype)
        return jax.make_array_from_callback(leaf.shape, leaf.sharding, lambda index: whole[index])

    return jax.tree_util.tree_map_with_path(begun, params), table


def require_all_taken(where: str, table: Sequence[Weight]) -> None:
    """Raises BadInput, naming `where` and the first of them, unless every weight is taken."""
    others = [row for row in table if row.fate != Fate.TAKEN]
    if others:
        first = others[0]
        raise BadInput(
            f'{where}: {summary(table)}; the first is {first.name}, {_shape(first.saved)} there, '
            f'{_shape(first.here)} here; allowed with --config.init_partial'
        )


def summary(table: Sequence[Weight]) -> str:
    """How many weights there are of each fate, in words."""
    counts = Counter(row.fate for row in table)
    return 'weights: ' + ', '.join(f'{counts[fate]} {fate}' for fate in Fate if counts[fate])


def _shape(shape: tuple[int, ...] | None) -> str:
    return 'absent' if shape is None else str(list(shape))


def _by_name(tree: PyTree) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(nn.unbox(tree))
    return {parameter_name(path): leaf for path, leaf in leaves}
