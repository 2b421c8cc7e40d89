"""From cells to figures with intervals over songs.

Coherence of an answer. A measure hears two tracks, onsets of bass and drums or pitches of two
others, or all. In `each`, `alone`, `retrieval` and the like one track at a time is another's:

(1) v_i(m) = the mean of measure m of excerpt i over the mixes whose target m hears
(2) rhythm_i = v_i(onset_correlation),   harmony_i = the mean over pairs of v_i(chroma_correlation)
(3) together_i = the mean of rhythm_i and harmony_i, each 0 by chance
(4) a difference of two answers is the mean over excerpts of v_i - w_i, where both are known
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation import systems, track_tags
from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.intervals import Interval, bootstrap
from jen1composer.evaluation.measuring import TAGS
from jen1composer.evaluation.systems import Excerpt

HEARS = {
    'onset_correlation': ('bass', 'drums'),
    'onset_correlation_near': ('bass', 'drums'),
    'chroma_cosine': ('bass', 'instrument'),
    'chroma_correlation': ('bass', 'instrument'),
    'chroma_cosine_bass_melody': ('bass', 'melody'),
    'chroma_correlation_bass_melody': ('bass', 'melody'),
    'chroma_cosine_instrument_melody': ('instrument', 'melody'),
    'chroma_correlation_instrument_melody': ('instrument', 'melody'),
}
HARMONY = tuple(name for name in HEARS if name.startswith('chroma_correlation'))
OF_ALL = ('irs', 'cbs', 'cbd')
COMPOSITE = ('rhythm', 'harmony', 'together')
Values = list[float | None]  # of every excerpt
Together = Mapping[str, Sequence[Mapping[str, Any]]]  # by mix: `heard_together`


def coherence_values(
    together: Together, tracks: Sequence[str], system: str, measure: str
) -> Values:
    """Equations (1) to (3) of an answer, or of a mix that is of one system."""
    if measure == 'rhythm':
        return coherence_values(together, tracks, system, 'onset_correlation')
    if measure == 'harmony':
        return _means([coherence_values(together, tracks, system, name) for name in HARMONY])
    if measure == 'together':
        return _means(
            [coherence_values(together, tracks, system, name) for name in COMPOSITE[:2]],
            all_of=True,
        )
    hears = HEARS.get(measure, tuple(tracks))
    answers = [f'{system}/{track}' for track in tracks if track in hears]
    names = [name for name in answers if name in together] or [system]
    return _means([[row[measure] for row in together[name]] for name in names])


def interval(excerpts: Sequence[Excerpt], values: Values, seed: int) -> Interval | None:
    """Of the mean over what is known; None where that is of fewer than two songs."""
    known: dict[str, list[float]] = {}
    for excerpt, value in zip(excerpts, values, strict=True):
        if value is not None:
            known.setdefault(excerpt.song, []).append(value)
    return bootstrap(known, seed=seed) if len(known) > 1 else None


def differences(first: Values, second: Values) -> Values:
    """The terms of (4)."""
    pairs = zip(first, second, strict=True)
    return [None if a is None or b is None else a - b for a, b in pairs]


def tag_scores(
    excerpts: Sequence[Excerpt],
    stems: Mapping[str, Mapping[str, Cell]],
    training: Mapping[str, Cell],
    seed: int,
) -> dict[str, Any]:
    """Shares of stems that are heard as their own track is, see `track_tags`.

    Silent stems are left out.

    Returns:
        `chance`; by system, or by track and system, intervals over songs.
    """
    ear = track_tags.fit({track: list(cell.arrays[TAGS]) for track, cell in training.items()})
    found: dict[str, Any] = {'chance': 1 / len(ear.tracks), 'all': {}}
    for system, of_tracks in stems.items():
        right: list[Values] = []
        for track, cell in of_tracks.items():
            heard = ear.heard(cell.arrays[TAGS])
            there = [row['sounds'] for row in cell.found]
            right.append(
                [float(h == track) if t else None for h, t in zip(heard, there, strict=True)]
            )
            found.setdefault(track, {})[system] = interval(excerpts, right[-1], seed)
        found['all'][system] = interval(excerpts, _means(right), seed)
    return found


def coherence_scores(
    excerpts: Sequence[Excerpt], together: Together, tracks: Sequence[str], seed: int
) -> dict[str, dict[str, Any]]:
    """By measure: the interval of every answer and whole mix, and of `each` minus the others."""
    answers = list(systems.ANSWERS)
    whole = [system for system in systems.WHOLE if system not in answers]
    found: dict[str, dict[str, Any]] = {}
    for measure in (*COMPOSITE, *HEARS, *OF_ALL):
        values = {
            system: coherence_values(together, tracks, system, measure)
            for system in (*answers, *whole)
        }
        found[measure] = {
            'mean': {name: interval(excerpts, of, seed) for name, of in values.items()},
            'each_minus': {
                name: interval(excerpts, differences(values[systems.EACH], values[name]), seed)
                for name in answers
                if name != systems.EACH
            },
        }
    return found


def level_scores(
    excerpts: Sequence[Excerpt], stems: Mapping[str, Mapping[str, Cell]], seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """By track, system and quantity: the interval of its mean."""
    quantities = ('loudness_lufs', 'silent_share', 'clipped_share', 'log_mel_db')
    return {
        track: {
            system: {
                name: interval(excerpts, [row[name] for row in of_tracks[track].found], seed)
                for name in quantities
            }
            for system, of_tracks in stems.items()
            if track in of_tracks
        }
        for track in stems[systems.ORIGINAL]
    }


def _means(columns: Sequence[Values], all_of: bool = False) -> Values:
    """Row by row the mean of what is known; where `all_of`, of all or none."""
    found: Values = []
    for row in zip(*columns, strict=True):
        known = [value for value in row if value is not None]
        there = known and (len(known) == len(row) or not all_of)
        found.append(float(np.mean(known)) if there else None)
    return found
