"""From what was measured of two folders to figures with intervals over pieces.

Anchors are of the references alone. The other half, every second reference against those between,
is what real music comes to, of half the samples and so rather too far; noise is what has nothing of
it. Whether stems go together is told beside stems of different references, which do not; what they
are heard as is learnt from the references, and beside that of one half learnt from the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from absl import logging

from jen1composer.errors import BadInput
from jen1composer.evaluation import scores as scoring
from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.distances import distance
from jen1composer.evaluation.embedder import WordEmbedder
from jen1composer.evaluation.measuring import EMBEDDINGS, TAGS, Ears, together_of
from jen1composer.evaluation.prompt_scores import prompt_scores
from jen1composer.evaluation.systems import Excerpt, strangers
from launch.evaluation_folders import GENERATED, MIX, NOISE, REFERENCES, Folders, Measured, Piece
from launch.evaluation_report import LEVELS, MEASURES

HALF, STRANGERS = 'other_half', 'strangers'
FEWEST_FOR_HALVES = 4


def folder_scores(folders: Folders, measured: Measured, ears: Ears) -> dict[str, Any]:
    """All figures as JSON."""
    references = [_excerpt(piece) for piece in folders.references]
    generated = [_excerpt(piece) for piece in folders.generated]
    of_sides = {REFERENCES: references, GENERATED: generated, NOISE: references}
    tracks = folders.sounds[1:]
    scores: dict[str, Any] = {
        'frechet': {
            sound: _distances(of_sides, {side: cells[sound] for side, cells in measured.items()})
            for sound in folders.sounds
        },
        'levels': {
            sound: {
                side: {
                    name: scoring.interval(
                        of_sides[side],
                        [cell.found.get(name) for cell in cells[sound]],
                        folders.seed,
                    )
                    for name in LEVELS
                }
                for side, cells in measured.items()
            }
            for sound in folders.sounds
        },
    }
    if len(tracks) > 1:
        scores['coherence'] = _coherence(of_sides, measured, tracks, folders.seed)
        if ears.tagger is not None:
            try:
                scores['tags'] = _tags(of_sides, measured, tracks, folders.seed)
            except BadInput as error:  # too few stems that sound
                logging.warning('without tags of stems: %s', error)
    if isinstance(ears.embedder, WordEmbedder):
        scores['prompts'] = _prompts(of_sides, measured, ears.embedder, folders.seed)
    return scores


def _excerpt(piece: Piece) -> Excerpt:
    return Excerpt(name=piece.name, song=piece.name, start_s=0, prompt=piece.prompt)


def _distances(
    of_sides: Mapping[str, Sequence[Excerpt]], cells: Mapping[str, Sequence[Cell]]
) -> dict[str, Any]:
    rows = {side: [cell.arrays[EMBEDDINGS] for cell in of] for side, of in cells.items()}
    references, to = of_sides[REFERENCES], rows[REFERENCES]
    found: dict[str, Any] = {
        GENERATED: distance(of_sides[GENERATED], rows[GENERATED], to),
        HALF: None,
        NOISE: distance(references, rows[NOISE], to),
    }
    if len(references) >= FEWEST_FOR_HALVES:
        found[HALF] = distance(references[1::2], to[1::2], to[::2])
    return found


def _coherence(
    of_sides: Mapping[str, Sequence[Excerpt]], measured: Measured, tracks: Sequence[str], seed: int
) -> dict[str, Any]:
    def rows(side: str, places: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
        return [
            together_of({t: measured[side][t][n] for t, n in zip(tracks, at, strict=True)})
            for at in places
        ]

    of_rows = {
        side: (excerpts, [[number] * len(tracks) for number in range(len(excerpts))])
        for side, excerpts in of_sides.items()
    }
    names = [excerpt.song for excerpt in of_sides[REFERENCES]]
    together = {side: rows(side, places) for side, (_, places) in of_rows.items()}
    together[STRANGERS] = rows(REFERENCES, strangers(names, len(tracks)))
    excerpts = {**of_sides, STRANGERS: of_sides[REFERENCES]}
    return {
        measure: {
            side: scoring.interval(
                excerpts[side], scoring.coherence_values(together, tracks, side, measure), seed
            )
            for side in (GENERATED, REFERENCES, STRANGERS, NOISE)
        }
        for measure in MEASURES
    }


def _tags(
    of_sides: Mapping[str, Sequence[Excerpt]], measured: Measured, tracks: Sequence[str], seed: int
) -> dict[str, Any]:
    def cells(side: str, places: slice, sounding: bool = False) -> dict[str, Cell]:
        found = {}
        for track in tracks:
            of = [c for c in measured[side][track][places] if c.found['sounds'] or not sounding]
            tags = np.array([cell.arrays[TAGS] for cell in of])
            found[track] = Cell([cell.found for cell in of], {TAGS: tags})
        return found

    every, odd, even = slice(None), slice(1, None, 2), slice(0, None, 2)
    references = of_sides[REFERENCES]
    found = scoring.tag_scores(
        of_sides[GENERATED],
        {GENERATED: cells(GENERATED, every)},
        cells(REFERENCES, every, sounding=True),
        seed,
    )
    if len(references) >= FEWEST_FOR_HALVES:
        half = {HALF: cells(REFERENCES, odd)}
        taught = cells(REFERENCES, even, sounding=True)
        of_half = scoring.tag_scores(references[odd], half, taught, seed)
        for name in ('all', *tracks):
            found[name] |= of_half[name]
    return found


def _prompts(
    of_sides: Mapping[str, Sequence[Excerpt]], measured: Measured, ear: WordEmbedder, seed: int
) -> dict[str, Any]:
    """Of the sides of which two pieces or more have a prompt."""
    found: dict[str, Any] = {}
    for side in (GENERATED, REFERENCES):
        told = [n for n, excerpt in enumerate(of_sides[side]) if excerpt.prompt]
        excerpts = [of_sides[side][n] for n in told]
        if len(told) > 1:
            rows = [measured[side][MIX][n].arrays[EMBEDDINGS] for n in told]
            mixes = {side: Cell(None, {EMBEDDINGS: cast(Any, rows)})}
            texts = ear.text([excerpt.prompt for excerpt in excerpts])
            found |= prompt_scores(excerpts, mixes, texts, seed)
    return found
