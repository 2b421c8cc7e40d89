"""Scores under prompts: exact where sounds are their prompts, nothing where they heed none."""

import numpy as np
import pytest

from jen1composer.evaluation.cells import Cell
from jen1composer.evaluation.measuring import EMBEDDINGS
from jen1composer.evaluation.prompt_scores import prompt_scores
from jen1composer.evaluation.systems import Excerpt

SONGS = ('a', 'a', 'b', 'c')
EXCERPTS = [Excerpt(name=f'{k}', song=s, start_s=k, prompt=s) for k, s in enumerate(SONGS)]
TEXTS = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]


def scores(rows: np.ndarray) -> dict:
    windows = np.repeat(rows[:, None], 2, axis=1)  # of each excerpt
    return prompt_scores(EXCERPTS, {'mix': Cell([], {EMBEDDINGS: windows})}, TEXTS, seed=0)['mix']


def test_sounds_that_are_their_prompts_score_one_and_those_of_others_nothing():
    assert scores(TEXTS) == {'score': (1.0, 1.0, 1.0), 'told': (1.0, 1.0, 1.0)}
    others = TEXTS[[2, 3, 3, 2]]  # each hears the prompt of another song
    assert scores(others)['score'] == (0.0, 0.0, 0.0)
    assert scores(others)['told'].high < 0


def test_sounds_that_are_alike_whatever_is_said_are_told_nothing():
    heedless = np.full((4, 3), 3**-0.5, np.float32)
    found = scores(heedless)
    assert found['score'].mean == pytest.approx(3**-0.5)
    assert found['told'] == pytest.approx((0, 0, 0), abs=1e-6)
