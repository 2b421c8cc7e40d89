"""From cells to figures with intervals over songs.

Coherence of an answer. A measure hears two tracks, onsets of bass and drums or pitches of two
others, or all. In `each`, `alone`, `retrieval` and the like one track at a time is another's:

(1) v_i(m) = the mean of measure m of excerpt i over the mixes whose target m hears
(2) rhythm_i = v_i(onset_correlation),   harmony_i = the mean over pairs of v_i(chroma_correlation)
(3) together_i = the mean of rhythm_i and harmony_i, each 0 by chance
(4) a difference of two answers is the mean over excerpts of v_i - w_i, where both are known

Fréchet distances are between the windows of all excerpts under one embedder. A draw of songs takes
both sides of each, and intervals are pivotal, since a distance falls as samples become more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation import systems
from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.frechet import frechet_distance, moments
from jen1composer.evaluation.intervals import Interval, bootstrap
from jen1composer.evaluation.measuring import EMBEDDINGS
from jen1composer.evaluation.systems import Excerpt

FRECHET_DRAWS = 100  # a distance takes some hundredths of a second
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
    by_song: dict[str, list[float]] = {}
    for excerpt, value in zip(excerpts, values, strict=True):
        if value is not None:
            by_song.setdefault(excerpt.song, []).append(value)
    return bootstrap(by_song, seed=seed) if len(by_song) > 1 else None


def differences(first: Values, second: Values) -> Values:
    """The terms of (4)."""
    pairs = zip(first, second, strict=True)
    return [None if a is None or b is None else a - b for a, b in pairs]


def frechet(
    excerpts: Sequence[Excerpt], original: np.ndarray, other: np.ndarray, seed: int
) -> dict[str, Any]:
    """Distance of `[excerpt, window, width]` to the original with its interval, as JSON."""
    width = original.shape[-1]
    by_song: dict[str, list[np.ndarray]] = {}
    for excerpt, a, b in zip(excerpts, original, other, strict=True):
        by_song.setdefault(excerpt.song, []).append(np.concatenate([a, b], axis=-1))

    def distance(rows: np.ndarray) -> float:
        return frechet_distance(moments(rows[:, :width]), moments(rows[:, width:]))

    rows = {song: np.concatenate(of_song) for song, of_song in by_song.items()}
    found = bootstrap(rows, distance, seed=seed, draws=FRECHET_DRAWS, pivotal=True)
    return {'interval': list(found), 'samples': sum(map(len, rows.values())), 'width': width}


def half_to_half(excerpts: Sequence[Excerpt], original: np.ndarray) -> dict[str, Any]:
    """Distance between the songs of even and of odd places: real music, of half the samples."""
    songs = list(dict.fromkeys(excerpt.song for excerpt in excerpts))
    odd = np.array([songs.index(excerpt.song) % 2 == 1 for excerpt in excerpts])
    width = original.shape[-1]
    halves = [original[chosen].reshape(-1, width) for chosen in (~odd, odd)]
    return {
        'distance': frechet_distance(*map(moments, halves)),
        'samples': min(map(len, halves)),
        'width': width,
    }


def frechet_scores(
    excerpts: Sequence[Excerpt],
    stems: Mapping[str, Mapping[str, Cell]],
    mixes: Mapping[str, Cell],
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Of every track, and of `mix`: by system."""
    found: dict[str, dict[str, Any]] = {}
    for track, cell in stems[systems.ORIGINAL].items():
        original = cell.arrays[EMBEDDINGS]
        found[track] = {'other_half': half_to_half(excerpts, original)} | {
            system: frechet(excerpts, original, of_tracks[track].arrays[EMBEDDINGS], seed)
            for system, of_tracks in stems.items()
            if system != systems.ORIGINAL
        }
    original = mixes[systems.ORIGINAL].arrays[EMBEDDINGS]
    found['mix'] = {'other_half': half_to_half(excerpts, original)} | {
        name: frechet(excerpts, original, cell.arrays[EMBEDDINGS], seed)
        for name, cell in mixes.items()
        if name != systems.ORIGINAL
    }
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
