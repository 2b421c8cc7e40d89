"""The same work on many items: what preparation asks for, wherever it is done.

`one_by_one` does it here and needs nothing; `beam.on_beam` does it in threads or on a cluster.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Item = Any  # a JSON value


class Run(Protocol):
    """Does the work."""

    def __call__(
        self,
        work: Callable[[Item], Item],
        items: Sequence[Item],
        *,
        count_done: Callable[[], int],
        description: str,
    ) -> list[Item]:
        """`work` of every item, in any order.

        Args:
            work: picklable; what it takes and returns is JSON. It may be done twice for an item.
            items: JSON values.
            count_done: how many items are done, for who shows it meanwhile.
            description: of the work, in a word.

        Raises BadInput where `work` does.
        """


def one_by_one(
    work: Callable[[Item], Item],
    items: Sequence[Item],
    *,
    count_done: Callable[[], int],
    description: str,
) -> list[Item]:
    """The simplest `Run`: here, in order, and quietly."""
    del count_done, description
    return [work(item) for item in items]
