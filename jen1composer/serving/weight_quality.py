"""What packed weights lose, measured against the float32 ones on seeded inputs.

With the estimates D of x_0 that both make of the same corrupted latents at the times t_i, of all
tracks together, and the sound y of both for one request (same seed, same words, all tracks),

(1) step error = max_i |D_packed - D| / |D|
(2) SNR = 10 log10(|y|^2 / |y_packed - y|^2)

(1) is what is lost in one evaluation of the network; (2) is after all steps and the decoder, where
small differences have grown: music that differs more than it must, not music that is worse.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from flax import traverse_util

from jen1composer.diffusion.batch import unknown_control
from jen1composer.diffusion.guidance import Branches
from jen1composer.generation.composer import Composer
from jen1composer.generation.export_folder import UNET
from jen1composer.generation.request import Request
from jen1composer.generation.weight_formats import pack, unpack
from jen1composer.serving.programs import Arrays, step_function, unet_arrays
from jen1composer.tracks import SAMPLE_RATE

PROMPT = 'dark driving rock'
TIMES = (0.9, 0.5, 0.1)


class Loss(NamedTuple):
    """What a format loses."""

    step_error: float
    snr_db: float


def measure(composer: Composer, forms: Sequence[str], *, num_steps: int = 25) -> dict[str, Loss]:
    """The losses of `forms`, of which `num_steps` are the steps of (2)."""
    spec = composer.spec
    seconds = spec.window_frames * spec.hop_samples / SAMPLE_RATE
    request = Request(prompt=PROMPT, seconds=seconds, num_steps=num_steps)

    def made(of: Composer) -> tuple[list[np.ndarray], np.ndarray]:
        takes = of.compose(request).takes.values()
        return estimates(of), np.stack([take.audio for take in takes])

    if not forms:
        return {}
    estimate, sound = made(composer)
    losses = {}
    for form in forms:
        packed_estimate, packed_sound = made(with_weights(composer, form))
        errors = map(relative_error, packed_estimate, estimate)
        losses[form] = Loss(step_error=max(errors), snr_db=snr_db(packed_sound, sound))
    return losses


def with_weights(composer: Composer, form: str) -> Composer:
    """`composer` with what `form` makes of its weights."""
    unet = unpack(pack(unet_arrays(composer), form))
    params = {name.removeprefix(UNET): leaf for name, leaf in unet.items()}
    codec = composer.codec
    arrays = unpack(pack(codec.arrays, form))
    return dataclasses.replace(
        composer,
        params=traverse_util.unflatten_dict(params, sep='/'),
        codec=codec.from_arrays(codec.config, arrays, 'weights'),
    )


def estimates(composer: Composer, seed: int = 0) -> list[np.ndarray]:
    """D of (1) at each of `TIMES`, of white latents for two rows."""
    step = jax.jit(step_function(composer, Branches()))
    weights = unet_arrays(composer)
    inputs = step_inputs(composer, seed)
    found = []
    for time in TIMES:
        now = {'now': np.full_like(inputs['now'], time), 'next': np.zeros_like(inputs['now'])}
        found.append(np.asarray(step(weights, inputs | now)['estimate']))
    return found


def step_inputs(composer: Composer, seed: int = 0, rows: int = 2) -> Arrays:
    """Seeded inputs of the program `step`: all tracks are made, from the first time to the next."""
    spec, text = composer.spec, composer.text_encoder
    rng = np.random.default_rng(seed)
    tracks = len(spec.tracks)
    shape = (rows, tracks, spec.window_frames, spec.model.latent_channels)
    prompt, mask = text.encode([PROMPT])
    control = unknown_control(rows, spec.window_frames)
    return (vars(control) if spec.model.control else {}) | {
        'x': rng.standard_normal(shape).astype(np.float32),
        'estimate': np.zeros(shape, np.float32),
        'log_ratio': np.full((rows, tracks), -np.inf, np.float32),
        'now': np.ones((rows, tracks), np.float32),
        'next': np.full((rows, tracks), 0.9, np.float32),
        'clean': np.zeros(shape, np.float32),
        'roles': np.zeros((rows, tracks), np.int32),
        'visible': np.zeros(shape[:3], bool),
        'causal': np.arange(rows) % 2 == 1,
        'prompt': np.repeat(prompt, rows, axis=0),
        'prompt_mask': np.repeat(mask, rows, axis=0),
        'use_prompt': np.ones(rows, bool),
        'prefix': np.repeat(prompt, rows, axis=0),
        'prefix_mask': np.repeat(mask, rows, axis=0),
    }


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """|found - expected| / |expected|."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def snr_db(found: np.ndarray, expected: np.ndarray) -> float:
    """Equation (2); infinite where they agree."""
    error = relative_error(found, expected)
    return -20 * math.log10(error) if error > 0 else math.inf
