"""What a config's network takes, known from shapes alone: for `launch.describe`."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.stages import Compiled, Lowered
from ml_collections import ConfigDict

from jen1composer.diffusion.batch import Batch, Control, Task, Text
from jen1composer.models.autoencoder import STEREO
from jen1composer.models.flops import (
    Shape,
    autoencoder_forward,
    autoencoder_gradient,
    unet_forward,
    unet_gradient,
    unet_model_gradient,
)
from jen1composer.models.layers import ANYWHERE, Placement
from jen1composer.models.unet import UNet
from jen1composer.training.autoencoder_step import autoencoder_of, init_params, make_loss
from jen1composer.training.composer_step import make_composer_loss
from jen1composer.training.state import PyTree, initial_state, parameter_count
from jen1composer.training.step import LossFn, make_train_step
from jen1composer.training.trainable import freeze_loss
from jen1composer.training.workdir import unet_config
from launch.autoencoder_run import SECTIONS, check_values
from launch.autoencoder_sections import (
    make_adversary,
    make_autoencoder,
    make_optimizers,
    make_task,
)
from launch.composer_sections import make_composer_optimizer, make_curriculum, make_diffusion
from launch.config_sections import require_sections

COMPOSER_SECTIONS = ('data.', 'curriculum.', 'model.', 'diffusion.', 'optimizer.')

# Top-level weights of a UNet by part, the first that fits; the parts are those of `unet_forward`.
UNET_PARTS = (
    ('_residual_', 'residual'),
    ('_transformer_', 'attention'),
    ('_merge', 'merging'),
    ('_split', 'merging'),
    ('_join', 'merging'),
    ('condition', 'times'),
    ('context', 'context'),
    ('control', 'control'),
    ('chords', 'control'),
    ('', 'ends'),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenByData:
    """What a composer's config leaves to the latents that it is trained on."""

    num_tracks: int
    latent_channels: int
    text_width: int
    prompt_tokens: int
    prefix_tokens: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """What is described: a network with its training step and the batch that the step is given."""

    sizes: Mapping[str, int]
    init_params: Callable[[], PyTree]  # boxed
    part_of: Callable[[str], str]  # the name of a top-level weight -> what it is counted under
    forward: Callable[[PyTree, PyTree], PyTree]  # (parameters, batch) -> what the network gives
    loss_fn: LossFn
    optimizer: optax.GradientTransformation
    ema_decay: float
    batch: PyTree  # of shapes
    forward_flops: Mapping[str, int]
    gradient_flops: int
    model_flops: int  # of them what is not computed again


def subject_of(
    config: ConfigDict, given: GivenByData, frames: int | None, place: Placement = ANYWHERE
) -> Subject:
    """The subject of a config of either command; `frames` None is as many as the config says.

    `place` is the layout of its networks. Raises BadInput where it is a config of neither.
    """
    if 'curriculum' in config:
        require_sections(config, 'train_composer', COMPOSER_SECTIONS)
        return _composer(config, given, frames or config.data.window_frames, place)
    require_sections(config, 'train_autoencoder', SECTIONS)
    return _autoencoder(config, frames or config.crop_frames, place)


def _composer(config: ConfigDict, given: GivenByData, frames: int, place: Placement) -> Subject:
    told = {
        'num_tracks': given.num_tracks,
        'latent_channels': given.latent_channels,
        'text_width': given.text_width,
    }
    model = UNet(unet_config(told | config.model.to_dict()), place)
    shape = Shape(
        batch=config.batch,
        frames=frames,
        prompt_tokens=given.prompt_tokens,
        prefix_tokens=given.prefix_tokens,
    )
    batch = batch_shapes(given, shape)

    def apply(method: Callable[..., Any], first: Any, batch: Batch) -> Any:
        times = jnp.ones(batch.task.roles.shape)
        x = batch.latents.astype(jnp.float32)
        return method(first, x, times, x, batch.task, batch.text)

    curriculum = make_curriculum(config.curriculum, given.num_tracks)
    return Subject(
        sizes=dataclasses.asdict(given) | dataclasses.asdict(shape),
        init_params=lambda: apply(model.init, jax.random.key(0), zeros(batch))['params'],
        part_of=unet_part,
        forward=lambda params, batch: apply(model.apply, {'params': params}, batch),
        loss_fn=freeze_loss(
            make_composer_loss(model, make_diffusion(config.diffusion), config.seed),
            config.get('trainable', ''),
        ),
        optimizer=make_composer_optimizer(config, curriculum),
        ema_decay=config.ema_decay,
        batch=batch,
        forward_flops=unet_forward(model.config, shape),
        gradient_flops=unet_gradient(model.config, shape),
        model_flops=unet_model_gradient(model.config, shape),
    )


def _autoencoder(config: ConfigDict, frames: int, place: Placement) -> Subject:
    model, adversary = make_autoencoder(config, place), make_adversary(config, place)
    task = make_task(config)
    check_values(config, model.config)
    samples = frames * model.config.hop_samples
    gradient_flops = autoencoder_gradient(model.config, batch=config.batch, frames=frames)
    batch = {
        'waveform': jax.ShapeDtypeStruct((config.batch, samples, STEREO), jnp.float32),
        'index': jax.ShapeDtypeStruct((config.batch,), jnp.uint32),
    }

    def forward(params: PyTree, batch: Mapping[str, jax.Array]) -> Any:
        return model.apply({'params': autoencoder_of(params, adversary)}, batch['waveform'])

    return Subject(
        sizes={'batch': config.batch, 'frames': frames, 'samples': samples},
        init_params=lambda: init_params(model, config.seed, adversary),
        part_of=lambda name: re.sub(r'(_\d+)+$', '', name),
        forward=forward,
        loss_fn=make_loss(model, task, config.seed, adversary),
        optimizer=make_optimizers(config),
        ema_decay=config.ema_decay,
        batch=batch,
        forward_flops=autoencoder_forward(model.config, batch=config.batch, frames=frames),
        gradient_flops=gradient_flops,
        model_flops=gradient_flops,  # nothing is computed again
    )


def unet_part(name: str) -> str:
    """What a top-level weight of a UNet is counted under."""
    return next(part for word, part in UNET_PARTS if word in name)


def batch_shapes(given: GivenByData, shape: Shape) -> Batch:
    """The shapes of a composer's batch."""
    size, tracks, width = shape.batch, given.num_tracks, given.text_width

    def array(*axes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((size, *axes), dtype)

    return Batch(
        latents=array(tracks, shape.frames, given.latent_channels, dtype=jnp.bfloat16),
        task=Task(
            roles=array(tracks, dtype=jnp.int32),
            visible=array(tracks, shape.frames, dtype=bool),
            causal=array(dtype=bool),
        ),
        text=Text(
            prompt=array(shape.prompt_tokens, width),
            prompt_mask=array(shape.prompt_tokens, dtype=bool),
            use_prompt=array(dtype=bool),
            prefix=array(shape.prefix_tokens, width),
            prefix_mask=array(shape.prefix_tokens, dtype=bool),
            control=Control(
                bpm=array(), key=array(dtype=jnp.int32), chords=array(shape.frames, dtype=jnp.int32)
            ),
        ),
        index=array(dtype=jnp.uint32),
    )


def zeros(shapes: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


def describe(subject: Subject, *, compile_too: bool) -> dict[str, Any]:
    """What is said of a subject; `compile_too` compiles the training step for this device."""
    state = nn.unbox(jax.eval_shape(lambda: initial_state(subject.init_params, subject.optimizer)))
    parts: Counter[str] = Counter()
    for name, weights in state.params.items():
        parts[subject.part_of(name)] += parameter_count(weights)
    forward = jax.jit(subject.forward).lower(state.params, subject.batch)
    gradient = jax.jit(output_gradient(subject)).lower(state.params, subject.batch)
    step = jax.jit(
        make_train_step(subject.loss_fn, subject.optimizer, subject.ema_decay), donate_argnums=0
    ).lower(state, subject.batch)
    said: dict[str, Any] = {
        'sizes': dict(subject.sizes),
        'parameters': {'total': sum(parts.values()), **parts},
        'flops': {
            'forward': {'total': sum(subject.forward_flops.values()), **subject.forward_flops},
            'forward_by_xla': counted(forward),
            'gradient': subject.gradient_flops,
            'gradient_by_xla': counted(gradient),
            'training_step_by_xla': counted(step),
        },
        'bytes': {
            'weights': size_bytes(state.params),
            'gradients': size_bytes(state.params),
            'optimizer': size_bytes(state.opt_state),
            'average': size_bytes(state.ema),
            'kept_for_the_gradient': kept_bytes(subject, state.params),
        },
    }
    if compile_too:
        compiled = step.compile()
        said['compiled'] = {
            'device': jax.devices()[0].device_kind,
            'training_step_by_xla': counted(compiled),
            **compiled_bytes(compiled),
        }
    return said


def output_gradient(subject: Subject) -> Callable[[PyTree, PyTree], PyTree]:
    """The gradient of the network alone: by its weights, of half its output's squares."""

    def half_squares(params: PyTree, batch: PyTree) -> jax.Array:
        return 0.5 * jnp.sum(jnp.square(subject.forward(params, batch)))

    return jax.grad(half_squares)


def counted(program: Lowered | Compiled) -> int | None:
    """The floating-point operations that XLA counts in a program, where it says so."""
    analysis = program.cost_analysis()
    return int(analysis['flops']) if analysis and 'flops' in analysis else None


def compiled_bytes(program: Compiled) -> dict[str, int]:
    """What a compiled program holds on the device, as far as the compiler tells."""
    memory = program.memory_analysis()
    if memory is None:
        return {}
    return {
        'argument_bytes': memory.argument_size_in_bytes,
        'output_bytes': memory.output_size_in_bytes,
        'shared_by_both_bytes': memory.alias_size_in_bytes,
        'temporary_bytes': memory.temp_size_in_bytes,
        'code_bytes': memory.generated_code_size_in_bytes,
    }


def size_bytes(tree: PyTree) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def kept_bytes(subject: Subject, params: PyTree) -> int:
    """What the gradient of the loss keeps of the forward pass beside weights and batch as given.

    XLA may fuse or compute again what is cheap, so a compiled program may need less.
    """

    def kept(params: PyTree, batch: PyTree) -> list[jax.Array]:
        step = jnp.zeros((), jnp.int32)
        pullback = jax.vjp(lambda p: subject.loss_fn(p, batch, step)[0], params)[1]
        given = {id(leaf) for leaf in jax.tree.leaves((params, batch))}
        return [leaf for leaf in jax.tree.leaves(pullback) if id(leaf) not in given]

    return size_bytes(jax.eval_shape(kept, params, subject.batch))
