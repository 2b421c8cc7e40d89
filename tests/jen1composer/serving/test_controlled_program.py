"""The program of a composer with control takes tempo, key and chords, and heeds them."""

import jax
import numpy as np

from jen1composer.diffusion.guidance import Branches
from jen1composer.serving.programs import programs, step_function, unet_arrays
from jen1composer.serving.weight_quality import step_inputs
from tests.jen1composer import tiny_composer

TOLD = {'bpm', 'key', 'chords'}


def test_only_a_program_that_can_be_told_asks_for_it():
    for control in (True, False):
        composer = tiny_composer.composer(control=control)
        step = programs(composer, text=False)['step']
        assert TOLD & step.inputs.keys() == (TOLD if control else set())
        assert step_inputs(composer).keys() == step.inputs.keys()


def test_what_it_is_told_changes_what_it_makes():
    composer = tiny_composer.composer(control=True)
    step = jax.jit(step_function(composer, Branches()))
    weights, inputs = unet_arrays(composer), step_inputs(composer)
    unknown = step(weights, inputs)['x']
    silent = step(weights, {name: inputs[name] for name in inputs.keys() - TOLD})['x']
    np.testing.assert_allclose(silent, unknown, atol=1e-6)
    told = {'bpm': inputs['bpm'] + 90, 'key': inputs['key'] - 3, 'chords': inputs['chords'] - 4}
    for name, value in told.items():
        assert np.abs(step(weights, inputs | {name: value})['x'] - unknown).max() > 1e-4
