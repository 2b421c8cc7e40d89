"""Ways to come to a set of tracks with one trained model of the synthetic law.

With x the sets, (5) the agreement and reading of `evaluation.synthetic_law`, and for K tracks:

(1) one shot            all K tracks jointly
(2) track after track   in an order: each given those before it, the others marginalised
(3) best of n           n takes of (1) with other noise; the one whose agreement is highest is kept
(4) loop, best of n     (2), and of every track n takes, of which the same is kept
(5) loop, r rounds      (1), and r times: the tracks that are read alike are kept, as many as there
                        are of one reading; the others are generated again given them

(2) is what composing one track at a time costs, (3) to (5) what a listener who judges is worth:
here one that knows the law. It hears no more than the sets, and never their z; agreement that
differs by less than HEARD is alike to it, and of such takes the first is kept.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from jen1composer.evaluation.synthetic_law import SyntheticLaw
from jen1composer.tracks import Role

HEARD = 1e-3  # of the likelihood of agreement

# (tracks [set, track, frame, channel] of which those given are used, roles [set, track],
#  number of the first example's noise) -> all tracks, the targets generated
Generate = Callable[[np.ndarray, np.ndarray, int], np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ways:
    """Equations (1) to (5) for one model; each call draws noise that no other has used."""

    law: SyntheticLaw
    generate: Generate

    def one_shot(self, count: int, first: int) -> np.ndarray:
        """(1): `count` sets."""
        shape = (count, self.law.num_tracks, *self.law.means.shape[-2:])
        roles = np.full(shape[:2], int(Role.TARGET))
        return self.generate(np.zeros(shape, np.float32), roles, first)

    def in_orders(self, orders: Sequence[Sequence[int]], count: int, first: int) -> np.ndarray:
        """(2): `count` sets in each order, `[order x set, track, frame, channel]`."""
        order = np.repeat(np.array(orders), count, axis=0)  # [set, place]
        x = np.zeros((len(order), self.law.num_tracks, *self.law.means.shape[-2:]), np.float32)
        for place in range(self.law.num_tracks):
            x = self.generate(x, _after(order, place), first + place * len(order))
        return x

    def best_of(self, takes: np.ndarray) -> np.ndarray:
        """(3) of `takes` [take, set, track, frame, channel]: the sets that are kept."""
        agreement = np.exp([self.law.agreement(take) for take in takes])  # [take, set]
        heard = np.floor(agreement / HEARD)
        return takes[heard.argmax(axis=0), np.arange(takes.shape[1])]

    def loop_best_of(self, takes: int, count: int, first: int) -> np.ndarray:
        """(4), tracks in their own order."""
        num_tracks = self.law.num_tracks
        order = np.tile(np.arange(num_tracks), (count * takes, 1))
        kept = np.zeros((count, num_tracks, *self.law.means.shape[-2:]), np.float32)
        for place in range(num_tracks):
            begin = first + place * count * takes
            made = self.generate(np.tile(kept, (takes, 1, 1, 1)), _after(order, place), begin)
            heard = np.where((np.arange(num_tracks) <= place)[:, None, None], made, np.nan)
            best = self.best_of(heard.reshape(takes, count, *kept.shape[1:]))
            kept = np.nan_to_num(best).astype(np.float32)
        return kept

    def loop_rounds(self, x: np.ndarray, rounds: int, first: int) -> list[np.ndarray]:
        """(5): the sets after each round, from the sets `x` of (1)."""
        after = []
        for number in range(rounds):
            read = self.law.read(x)
            alike = (read[:, :, None] == read[:, None]).sum(axis=-1)  # [set, track]
            chosen = np.take_along_axis(read, alike.argmax(axis=1)[:, None], axis=1)
            roles = np.where(read == chosen, int(Role.CONDITION), int(Role.TARGET))
            x = self.generate(x, roles, first + number * len(x))
            after.append(x)
        return after


def all_orders(num_tracks: int) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(num_tracks)))


def _after(order: np.ndarray, place: int) -> np.ndarray:
    """Roles [set, track] where the tracks of `order` [set, place] before `place` are there."""
    roles = np.full(order.shape, int(Role.MARGINAL))
    np.put_along_axis(roles, order[:, :place], int(Role.CONDITION), axis=1)
    np.put_along_axis(roles, order[:, place : place + 1], int(Role.TARGET), axis=1)
    return roles
