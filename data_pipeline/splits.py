"""Which songs are trained on, and which are held out: by song, never by window.

1. Where the data set names a song's split, that is its split.
2. A held-out split that the data set does not name takes its share (at least one, as soon as there
   are three songs) of the songs that are free or for training: those with material on every track
   first, then in the order of a hash of their ids. So it follows from which songs there are, and
   with songs that come later others may be held out: a run that goes on with them has new splits.
3. What is left is trained on.
"""

import hashlib
from collections.abc import Sequence

from data_pipeline.sources.source import Entry
from jen1composer.tracks import TRACKS

HELD_OUT = 1 / 6


def split_songs(entries: Sequence[Entry], held_out: float = HELD_OUT) -> dict[str, str]:
    """The split of each song, by id; the order of entries does not matter.

    Args:
        entries: songs, with the splits that their data set names.
        held_out: the share of all songs that each of validation and test takes where it is not
            named; 0 takes none.
    """

    def order(entry: Entry) -> tuple[bool, str]:
        return len(entry.tracks) < len(TRACKS), hashlib.sha256(entry.id.encode()).hexdigest()

    splits = {entry.id: entry.split or 'train' for entry in entries}
    named = {entry.split for entry in entries}
    free = [e.id for e in sorted(entries, key=order) if splits[e.id] == 'train']
    count = max(1, round(held_out * len(entries))) if held_out and len(entries) >= 3 else 0
    for split in ('validation', 'test'):
        if split not in named:
            most = min(count, len(free) - 1)  # One song at least is trained on.
            taken, free = free[:most], free[most:]
            splits.update(dict.fromkeys(taken, split))
    return splits
