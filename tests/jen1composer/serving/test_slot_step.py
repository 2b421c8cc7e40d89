"""The compiled step with random weights: a row is the same to the bit, wherever it sits."""

import functools
import threading

import numpy as np
import pytest

from jen1composer.generation.request import Request
from jen1composer.generation.rows import make_stepper
from jen1composer.models.unet import UNet
from jen1composer.serving.slot_step import step
from jen1composer.serving.slots import Slots, Work
from tests.jen1composer import tiny_codec, tiny_composer

COUNT = 8


@pytest.fixture(scope='module')
def composer():
    return tiny_composer.composer(spans=True)


def row_of(composer, **values):
    """The row of a request of one window."""
    rows = []

    def keep(row):
        rows.append(row)
        return row.clean

    asked = {'prompt': 'rock', 'seconds': 0.01, 'num_steps': 3} | values
    composer.compose(Request(**asked), make_row=keep)
    return rows[0]


def made(composer, rows, ahead=()):
    """The latents of the last of `rows`, which are seated in their order, `ahead` a step before."""
    run = functools.partial(
        step,
        composer.device_params,
        model=UNet(composer.spec.model),
        diffusion=composer.spec.diffusion,
        stepper=make_stepper(rows[-1].sampler, composer.spec),
    )
    slots = Slots(COUNT, run, threading.Condition())
    works = [Work(row=row, cancelled=threading.Event()) for row in (*ahead, *rows)]
    slots.waiting.extend(works[: len(ahead)])
    slots.turn()
    slots.waiting.extend(works[len(ahead) :])
    while slots.works or slots.waiting:
        slots.turn()
    *_, latents = [works[-1].told.get_nowait() for _ in range(works[-1].told.qsize())]
    return latents


@pytest.mark.parametrize('sampler', ['dpmpp_2m', 'dpmpp_2m_sde'])
def test_a_row_is_the_same_to_the_bit_wherever_and_beside_whomever_it_sits(composer, sampler):
    bass = tiny_codec.sound(480, 2, seed=1)
    asked = {'given': {'bass': bass}, 'given_guidance': 1.5, 'guidance_rescale': 0.5}
    row = row_of(composer, seed=1, sampler=sampler, **asked)  # of three slots
    alone = made(composer, [row])
    others = [
        row_of(composer, seed=seed, prompt='', sampler=sampler, num_steps=seed + 1)
        for seed in range(1, COUNT - 2)
    ]
    for count in range(1, len(others) + 1):
        np.testing.assert_array_equal(made(composer, [*others[:count], row]), alone)
        np.testing.assert_array_equal(made(composer, [row], ahead=others[:count]), alone)
    # Those that come and go meanwhile are in scattered slots when the row is seated.
    np.testing.assert_array_equal(made(composer, [*others, row, *others, row]), alone)
