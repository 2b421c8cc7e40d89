"""Whether mixes are what their prompts say, where the ear hears words too.

Of excerpt i with windows w of its mix, its prompt p_i and those of the other songs p_j, under an
ear such as CLAP:

(1) score_i = mean over w of audio(w) . text(p_i), `clap.clap_score`
(2) others_i = the mean of the same over the prompts of all excerpts of other songs
(3) told_i = score_i - others_i

(1) depends on how an ear was trained; (3) is 0 on the average of music that does not heed its
prompt. Each is a mean over excerpts, with an interval over songs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.clap import clap_score
from jen1composer.evaluation.measuring import EMBEDDINGS
from jen1composer.evaluation.scores import interval
from jen1composer.evaluation.systems import Excerpt


def prompt_scores(
    excerpts: Sequence[Excerpt], mixes: Mapping[str, Cell], texts: np.ndarray, seed: int
) -> dict[str, dict[str, Any]]:
    """By mix: the intervals of (1), `score`, and of (3), `told`.

    Args:
        excerpts: of two songs or more.
        mixes: their embeddings, of unit length.
        texts: `[excerpt, width]`, those of the prompts.
        seed: of the bootstrap.
    """
    songs = np.array([excerpt.song for excerpt in excerpts])
    found = {}
    for name, cell in mixes.items():
        scores, told = [], []
        for song, text, rows in zip(songs, texts, cell.arrays[EMBEDDINGS], strict=True):
            scores.append(clap_score(rows, text[None]))
            told.append(scores[-1] - clap_score(rows, texts[songs != song]))
        found[name] = {
            'score': interval(excerpts, list(scores), seed),
            'told': interval(excerpts, list(told), seed),
        }
    return found
