"""What the hosts of one run decide together, so that all of them save and stop at the same step.

(1) saved is by the clock of host 0
(2) stopped is by the signal of any host; of two signals SIGTERM wins, being the larger number
(3) a checkpoint is whole if every host can read its part

A clock or a signal that only one host sees would leave the others waiting in a collective for ever.
"""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def agree(save: bool, signal_number: int) -> tuple[bool, int]:
    """This host's wishes to those of all, (1) and (2); a collective where there are several hosts.

    `signal_number` is 0 where no signal came. With one host its wishes are the answer.
    """
    if jax.process_count() == 1:
        return save, signal_number
    with jax.transfer_guard('allow'):
        told = multihost_utils.process_allgather(np.asarray([save, signal_number], np.int32))
    return decided(told)


def decided(told: np.ndarray) -> tuple[bool, int]:
    """(1) and (2) from what each host told, `[host, 2]`."""
    return bool(told[0, 0]), int(told[:, 1].max())


def all_agree(mine: bool) -> bool:
    """(3): whether it is so on every host; a collective where there are several."""
    if jax.process_count() == 1:
        return mine
    with jax.transfer_guard('allow'):
        return bool(multihost_utils.process_allgather(np.asarray([mine])).all())


def fetch(tree: Any) -> Any:
    """The arrays of a tree as numpy arrays, whole on every host, wherever their parts live.

    A collective where an array is split over hosts, so all of them call it.
    """

    def whole(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
            return leaf
        return multihost_utils.process_allgather(leaf, tiled=True)

    return jax.device_get(jax.tree.map(whole, tree))
