"""Rows: what a composition hands to whoever makes its windows."""

import jax
import numpy as np
import pytest

from jen1composer.diffusion.guidance import Branches
from jen1composer.generation.request import Edit, Request
from jen1composer.tracks import Role
from tests.jen1composer import tiny_codec, tiny_composer


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


def rows_of(composer, **values):
    """A request's rows, each made by the composer itself, and what came of them."""
    rows = []

    def make(row):
        rows.append(row)
        return composer.make_row(row)

    asked = {'prompt': 'rock', 'seconds': 0.03, 'num_steps': 3, 'seed': 5} | values
    piece = composer.compose(Request(**asked), make_row=make)
    return rows, piece, composer.compose(Request(**asked))


def test_windows_are_rows_in_their_order_and_whoever_makes_them_makes_the_piece(composer):
    rows, piece, usual = rows_of(composer)
    assert len(rows) > 3
    assert [row.window for row in rows] == list(range(len(rows)))
    assert {(row.seed, row.num_steps, row.sampler) for row in rows} == {(5, 3, 'dpmpp_2m')}
    for name, take in piece.takes.items():
        np.testing.assert_array_equal(take.audio, usual.takes[name].audio)
        np.testing.assert_array_equal(take.latents, usual.takes[name].latents)


def test_all_rows_of_a_composer_have_one_shape(composer):
    bass = tiny_codec.sound(1440, 2, seed=1)
    asked = (
        {'prompt': '', 'seconds': 0.01},
        {'prompt': 'a very long prompt of words that go on and on until they are cut off ' * 2},
        {'given': {'bass': bass}, 'given_guidance': 2.0, 'targets': ('drums',)},
        {'edits': {'bass': Edit(audio=bass[:700])}},
    )
    rows = [row for values in asked for row in rows_of(composer, **values)[0]]
    shapes = {
        tuple(
            (np.shape(leaf), np.asarray(leaf).dtype)
            for leaf in jax.tree.leaves((row.clean, row.task, row.text, row.guidance, row.times))
        )
        for row in rows
    }
    assert len(shapes) == 1


def test_what_padding_of_a_prompt_holds_cannot_change_anything(composer):
    (row, *_), *_ = rows_of(composer)
    padding = ~row.text.prompt_mask
    assert padding.any()
    made = composer.make_row(row)
    row.text.prompt[padding] = 1e6
    np.testing.assert_array_equal(composer.make_row(row), made)
    row.text.prompt[~padding] *= 2
    assert not np.array_equal(composer.make_row(row), made)


def test_a_row_has_a_branch_for_every_scale_that_counts(composer):
    bass = tiny_codec.sound(1440, 2, seed=1)
    (row, *_), *_ = rows_of(composer, given={'bass': bass}, given_guidance=2.0)
    assert row.branches == Branches(text=True, given=(0,))
    np.testing.assert_array_equal(row.task.roles, [Role.CONDITION, *[Role.TARGET] * 3])
    (row, *_), *_ = rows_of(composer, prompt='')
    assert row.branches == Branches()
