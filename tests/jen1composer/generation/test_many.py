"""Many pieces at once are those that are made one by one."""

import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.generation.many import compose_many
from jen1composer.generation.request import Edit, Request
from jen1composer.tracks import Role
from tests.jen1composer import tiny_codec, tiny_composer


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


def request(seed: int, **fields) -> Request:
    return Request(**{'prompt': 'rock', 'seconds': 0.01, 'num_steps': 2, 'seed': seed} | fields)


def test_each_piece_is_the_one_that_is_made_alone(composer):
    bass, drums = (tiny_codec.sound(480, 2, seed=k) for k in (1, 2))
    requests = [
        request(1),
        request(2, given={'bass': bass}),
        request(3, prompt='', given={'bass': bass, 'drums': drums}, targets=('melody',)),
        request(4, marginal=('bass', 'melody')),
        request(5, given={'bass': bass, 'drums': drums}),
        request(6, edits={'bass': Edit(audio=bass[:240])}),
        request(7, edits={'bass': Edit(audio=bass)}, strength=0.0),
        request(8, num_steps=3, sampler='ddim'),
    ]
    for many, asked in zip(compose_many(composer, requests, batch=3), requests, strict=True):
        alone = composer.compose(asked)
        assert many.takes.keys() == alone.takes.keys()
        assert many.given_guidance == alone.given_guidance
        for name, take in alone.takes.items():
            np.testing.assert_allclose(many.takes[name].audio, take.audio, atol=1e-5)
            if take.role == Role.CONDITION:
                np.testing.assert_array_equal(many.takes[name].audio, asked.given[name])


def test_what_else_is_asked_for_changes_no_bit(composer):
    alone = compose_many(composer, [request(1)], batch=3)[0]
    beside = compose_many(composer, [request(9), request(1), request(3)], batch=3)[1]
    for name, take in alone.takes.items():
        np.testing.assert_array_equal(take.audio, beside.takes[name].audio)


def test_none_are_none(composer):
    assert compose_many(composer, []) == []


def test_longer_than_a_window(composer):
    with pytest.raises(BadInput, match=r'request 1: 0.2 s; allowed is up to a window, 0.01 s'):
        compose_many(composer, [request(1), request(2, seconds=0.2)])
