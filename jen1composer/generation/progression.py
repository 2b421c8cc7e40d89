"""A chord progression as it is written: 'Am F C G', or 'Am:8 F:4 C G:2 N:2'.

Chords are parted by spaces or commas; each lasts the beats behind its colon, or else a bar of
four. At b beats a minute a beat lasts 60 / b seconds; the progression begins with the piece and is
repeated to its end.
"""

import itertools
from collections.abc import Iterator

from jen1composer.errors import BadInput
from jen1composer.harmony import CHORDS, ChordChange, chord_number

BAR_BEATS = 4.0
MOST_CHORDS = 256
BEATS_RANGE = (1 / 16, 256.0)  # much less would be more changes than anyone can wait for

Progression = tuple[tuple[str, float], ...]  # symbol, as `harmony` writes it, and its beats


def parse_progression(field: str, written: str) -> Progression:
    """The chords of a progression; () for none.

    Raises BadInput, naming `field`, for what is no chord and no number of beats.
    """
    chords = []
    for word in written.replace(',', ' ').split():
        symbol, colon, number = word.partition(':')
        beats = _beats(number) if colon else BAR_BEATS
        low, high = BEATS_RANGE
        if not low <= beats <= high:
            allowed = f'CHORD:BEATS with {low:g} to {high:g} beats'
            raise BadInput(f'{field}: {word!r}; allowed is {allowed}')
        chords.append((CHORDS[chord_number(field, symbol)], beats))
    if len(chords) > MOST_CHORDS:
        raise BadInput(f'{field}: {len(chords)} chords; allowed are {MOST_CHORDS}, repeated')
    return tuple(chords)


def chord_changes(progression: Progression, bpm: float, seconds: float) -> tuple[ChordChange, ...]:
    """Where the chords begin in a piece, in seconds, and which; () for no progression."""
    return tuple(
        (start_s, symbol)
        for start_s, symbol in itertools.takewhile(
            lambda change: change[0] < seconds, _repeated(progression, bpm)
        )
    )


def _repeated(progression: Progression, bpm: float) -> Iterator[ChordChange]:
    beat = 0.0
    for symbol, beats in itertools.cycle(progression):
        yield beat * 60 / bpm, symbol
        beat += beats


def _beats(number: str) -> float:
    try:
        return float(number)
    except ValueError:
        return float('nan')
