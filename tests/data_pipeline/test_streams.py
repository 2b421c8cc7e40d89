"""Streams: one of its own for every seed, index and name, and the same in every version."""

import itertools
import math

import numpy as np

from data_pipeline.streams import stream

NAMES = ('task', 'jitter', 'kind', 'span', 'augment', 'mixing', 'prompt', 'version', 'mixture')


def test_streams_are_apart_and_each_begins_again():
    keys = list(itertools.product((0, 1, 2**31 - 1), (0, 1, 2**32 - 1), NAMES))
    drawn = [tuple(stream(*key).random(4)) for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [tuple(stream(*key).random(4)) for key in keys]


def test_streams_of_one_example_and_of_neighbours_are_uncorrelated():
    drawn = np.array([[stream(0, i, name).random() for name in NAMES] for i in range(4000)])
    r = np.corrcoef(np.concatenate([drawn[:-1], drawn[1:]], axis=1).T)
    assert np.abs(r[~np.eye(2 * len(NAMES), dtype=bool)]).max() < 4 / math.sqrt(len(drawn))


def test_the_older_streams_are_what_they_were():
    """A name's place is part of what it draws: a change would give resumed runs other examples."""
    drawn = [int(stream(7, 11, name).integers(10**6)) for name in NAMES]
    assert drawn == [180926, 836298, 256144, 237901, 670733, 505205, 503772, 589136, 147085]
