"""The networks as StableHLO programs, which run without the code that made them.

A program is a function of (weights, inputs) -> outputs, each a dict of arrays; weights by the names
in `model.safetensors`, so they are stored once for all programs:

(1) start    seed, window, clean, times -> x                 noise as in `generation.sampling`
(2) step     x at times `now` -> x at `next`                 DPM-Solver++ 2M, without guidance
    guided_step                                              the same, guided on the prompt
(3) encode   sound [row, sample, 2]     -> white latents [row, frame, channel]
(4) decode   latents [row, frame, channel] -> sound [row, sample, 2]
(5) text     tokens, mask [row, token]  -> states [row, token, width]

What (2) remembers between steps, the last estimate of x_0 and its log ratio, goes in and comes out;
before the first step they are zeros and -inf. Batch and length are symbols: b rows, and m f frames,
m being the product of the UNet's factors. One program is for CPU, CUDA and TPU alike.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import export

from jen1composer.diffusion.batch import Control, Task, Text
from jen1composer.diffusion.corruption import corrupt
from jen1composer.diffusion.guidance import Branches, Guidance, guided
from jen1composer.diffusion.samplers import SolverState
from jen1composer.diffusion.solvers import make_sampler
from jen1composer.generation.composer import Composer
from jen1composer.generation.export_folder import UNET, text_arrays
from jen1composer.generation.sampling import window_noise
from jen1composer.models.autoencoder import Autoencoder, decode, encode
from jen1composer.models.unet import UNet
from jen1composer.models.whitening import Whitening
from jen1composer.training.composer_step import make_denoiser, make_estimator, make_predictor

PLATFORMS = ('cpu', 'cuda', 'tpu')
SAMPLER = 'dpmpp_2m'

Arrays = dict[str, Any]
Function = Callable[[Arrays, Arrays], Arrays]


class Program(NamedTuple):
    """A function to be exported, with what goes into it."""

    function: Function
    weights: Mapping[str, jax.ShapeDtypeStruct]
    inputs: Mapping[str, jax.ShapeDtypeStruct]

    def export(self) -> export.Exported:
        traced = jax.jit(self.function)
        return export.export(traced, platforms=PLATFORMS)(dict(self.weights), dict(self.inputs))


def programs(composer: Composer, *, text: bool) -> dict[str, Program]:
    """All programs of `composer` by name; (5) only with `text`."""
    spec, codec = composer.spec, composer.codec
    tracks, channels = len(spec.tracks), spec.model.latent_channels
    rows, periods = export.symbolic_shape('b, f')
    frames = spec.model.total_factor * periods

    def floats(*shape: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, np.float32)

    def others(dtype: Any, *shape: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, dtype)

    latents, per_track = floats(rows, tracks, frames, channels), floats(rows, tracks)
    states = floats(rows, spec.max_tokens, spec.model.text_width)
    mask = others(np.bool_, rows, spec.max_tokens)
    row = others(np.uint32, rows)
    start = {
        'seed': row,
        'window': row,
        'clean': latents,
        'times': per_track,
    }
    step = {
        'x': latents,
        'estimate': latents,
        'log_ratio': per_track,
        'now': per_track,
        'next': per_track,
        'clean': latents,
        'roles': others(np.int32, rows, tracks),
        'visible': others(np.bool_, rows, tracks, frames),
        'causal': others(np.bool_, rows),
        'prompt': states,
        'prompt_mask': mask,
        'use_prompt': others(np.bool_, rows),
        'prefix': states,
        'prefix_mask': mask,
    }
    if spec.model.control:
        step |= {
            'bpm': floats(rows),
            'key': others(np.int32, rows),
            'chords': others(np.int32, rows, frames),
        }
    numbers = ('guidance', 'guidance_low', 'guidance_high', 'guidance_rescale')
    unet = shapes(unet_arrays(composer))
    sound = shapes(codec.arrays)
    made = {
        'start': Program(start_function(composer), {}, start),
        'step': Program(step_function(composer, Branches()), unet, step),
        'guided_step': Program(
            step_function(composer, Branches(text=True)),
            unet,
            step | dict.fromkeys(numbers, floats(rows)),
        ),
        'encode': Program(
            encode_function(composer), sound, {'sound': floats(rows, spec.hop_samples * frames, 2)}
        ),
        'decode': Program(
            decode_function(composer), sound, {'latents': floats(rows, frames, channels)}
        ),
    }
    if text:
        tokens = {'tokens': others(np.int32, rows, spec.max_tokens), 'mask': mask}
        weights = shapes(text_arrays(composer.text_encoder))
        made['text'] = Program(text_function(composer), weights, tokens)
    return made


def start_function(composer: Composer) -> Function:
    """(1): x at the first `times`: a given track clean, the others as far noise as that says."""
    diffusion = composer.spec.diffusion
    t_max = diffusion.prediction.t_max(diffusion.schedule)

    def start(weights: Arrays, inputs: Arrays) -> Arrays:
        del weights
        clean, times = inputs['clean'], inputs['times']
        noise = window_noise(inputs['seed'], inputs['window'], clean.shape[1:])
        x = corrupt(clean, noise, jnp.where(times >= t_max, 1.0, times), diffusion.schedule)
        return {'x': x}

    return start


def step_function(composer: Composer, branches: Branches) -> Function:
    """(2)."""
    diffusion, model = composer.spec.diffusion, UNet(composer.spec.model)
    stepper = make_sampler(SAMPLER, diffusion.schedule, {})

    def step(weights: Arrays, inputs: Arrays) -> Arrays:
        params = traverse_util.unflatten_dict(
            {name.removeprefix(UNET): leaf for name, leaf in weights.items()}, sep='/'
        )
        task = Task(**{field.name: inputs[field.name] for field in dataclasses.fields(Task)})
        told = inputs.keys() & {field.name for field in dataclasses.fields(Text)}
        text = Text(**{name: inputs[name] for name in told}, control=control_of(inputs))
        estimate = make_estimator(make_predictor(model, params), diffusion)
        if branches != Branches():
            guidance = Guidance(
                text=inputs['guidance'],
                control=jnp.ones_like(inputs['guidance']),
                given=jnp.ones_like(inputs['now']),
                low=inputs['guidance_low'],
                high=inputs['guidance_high'],
                rescale=inputs['guidance_rescale'],
            )
            estimate = guided(estimate, guidance, branches, jnp.zeros_like(inputs['x']))
        x, state = stepper.step(
            make_denoiser(estimate, inputs['clean'], task, text),
            inputs['x'],
            SolverState(x0=inputs['estimate'], log_ratio=inputs['log_ratio']),
            inputs['now'],
            inputs['next'],
            None,
        )
        return {'x': x, 'estimate': state.x0, 'log_ratio': state.log_ratio}

    return step


def control_of(inputs: Arrays) -> Control | None:
    """Tempo, key and chords, where a program is told them."""
    names = [field.name for field in dataclasses.fields(Control)]
    return Control(**{name: inputs[name] for name in names}) if names[0] in inputs else None


def encode_function(composer: Composer) -> Function:
    """(3)."""
    model = Autoencoder(composer.codec.config)

    def run(weights: Arrays, inputs: Arrays) -> Arrays:
        params, whitening = _codec_parts(weights)
        return {'latents': whitening.apply(encode(model, params, inputs['sound']))}

    return run


def decode_function(composer: Composer) -> Function:
    """(4)."""
    model = Autoencoder(composer.codec.config)

    def run(weights: Arrays, inputs: Arrays) -> Arrays:
        params, whitening = _codec_parts(weights)
        return {'sound': decode(model, params, whitening.invert(inputs['latents']))}

    return run


def text_function(composer: Composer) -> Function:
    """(5)."""
    model = composer.text_encoder.model

    def run(weights: Arrays, inputs: Arrays) -> Arrays:
        params = traverse_util.unflatten_dict(weights, sep='/')
        with jax.default_matmul_precision('highest'):
            return {'states': model.apply({'params': params}, inputs['tokens'], inputs['mask'])}

    return run


def unet_arrays(composer: Composer) -> dict[str, np.ndarray]:
    """The UNet's weights by their names in the file."""
    flat = traverse_util.flatten_dict(composer.params, sep='/')
    return {UNET + name: np.ascontiguousarray(leaf) for name, leaf in flat.items()}


def shapes(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in arrays.items()}


def _codec_parts(weights: Arrays) -> tuple[Any, Whitening]:
    tree = traverse_util.unflatten_dict(weights, sep='/')
    return tree['autoencoder'], Whitening(**tree['whitening'])
