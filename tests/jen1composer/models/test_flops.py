"""Counted operations: to the last one those of the program's products, and near what XLA says."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from jen1composer.diffusion.batch import Batch
from jen1composer.models.autoencoder import Autoencoder, AutoencoderConfig
from jen1composer.models.flops import (
    Shape,
    autoencoder_forward,
    autoencoder_gradient,
    unet_forward,
    unet_gradient,
)
from jen1composer.models.unet import UNet, UNetConfig
from jen1composer.training.composer_step import DiffusionConfig, make_composer_loss
from tests import tiny
from tests.jen1composer.models.test_unet import equations

SHAPE = Shape(batch=2, frames=48, prompt_tokens=4, prefix_tokens=3)
EVERYTHING = dataclasses.replace(
    tiny.UNET,
    control=True,
    spans=True,
    norm_groups=4,
    context_width=12,
    time_embedding='learned',
    use_role_tokens=False,
    channels=(16, 24, 32),
    factors=(1, 2, 3),
    blocks=(1, 0, 2),
    attentions=(1, 0, 2),
)
SMALL = UNetConfig(
    num_tracks=4,
    latent_channels=16,
    text_width=32,
    channels=(64, 96),
    factors=(1, 2),
    blocks=(1, 2),
    attentions=(0, 1),
)
DEMO = UNetConfig(
    num_tracks=4,
    latent_channels=64,
    text_width=384,
    channels=(128, 160, 192),
    factors=(1, 2, 2),
    blocks=(1, 1, 1),
    attentions=(0, 0, 1),
)
MIDDLE = UNetConfig(
    num_tracks=4,
    latent_channels=128,
    text_width=768,
    spans=True,
    channels=(256, 384, 512),
    factors=(1, 2, 4),
    blocks=(2, 2, 2),
    attentions=(0, 1, 2),
    norm_groups=8,
    context_width=256,
    dtype='bfloat16',
)


def batch_of(config: UNetConfig, shape: Shape) -> Batch:
    roles = ((0,) * config.num_tracks,) * shape.batch
    batch = tiny.make_batch(roles, shape.frames, config.latent_channels, config.text_width)
    text = tiny.make_text(shape.batch, config.text_width, shape.prompt_tokens, shape.prefix_tokens)
    return dataclasses.replace(batch, text=text)


def forward(config: UNetConfig, params, batch: Batch) -> jax.Array:
    times = jnp.full(batch.task.roles.shape, 0.5)
    return UNet(config).apply(
        {'params': params}, batch.latents, times, batch.latents, batch.task, batch.text
    )


def weights(config: UNetConfig, shape: Shape):
    return jax.eval_shape(lambda: nn.unbox(tiny.init_boxed(config, shape.frames)))


def products(function, *arguments) -> int:
    """Operations of every product of matrices and every convolution in a program."""
    total = 0
    for equation in equations(jax.make_jaxpr(function)(*arguments).jaxpr):
        operands = [value.aval.shape for value in equation.invars]
        result = math.prod(equation.outvars[0].aval.shape)
        if equation.primitive.name == 'dot_general':
            (contracted, _), _ = equation.params['dimension_numbers']
            total += 2 * result * math.prod(operands[0][axis] for axis in contracted)
        elif equation.primitive.name == 'conv_general_dilated':
            outputs = equation.params['dimension_numbers'].rhs_spec[0]
            total += 2 * result * math.prod(operands[1]) // operands[1][outputs]
    return total


@pytest.mark.parametrize('config', [tiny.UNET, EVERYTHING, SMALL, DEMO])
def test_the_forward_pass_is_counted_to_the_last_product(config):
    found = products(
        lambda params, batch: forward(config, params, batch),
        weights(config, SHAPE),
        batch_of(config, SHAPE),
    )
    assert found == sum(unet_forward(config, SHAPE).values())


def flops(function, *arguments) -> float:
    """XLA's count of a program that is lowered but not compiled."""
    return jax.jit(function).lower(*arguments).cost_analysis()['flops']


@pytest.mark.parametrize('config', [SMALL, DEMO, MIDDLE])
def test_the_forward_pass_is_within_a_twentieth_of_what_xla_counts(config):
    found = flops(
        lambda params, batch: forward(config, params, batch),
        weights(config, SHAPE),
        batch_of(config, SHAPE),
    )
    assert abs(sum(unet_forward(config, SHAPE).values()) / found - 1) < 0.05


@pytest.mark.parametrize('remat', ['none', 'block', 'full'])
@pytest.mark.parametrize('config', [SMALL, DEMO, MIDDLE])
def test_the_gradient_of_the_loss_is_within_a_twentieth_of_what_xla_counts(config, remat):
    config = dataclasses.replace(config, remat=remat)
    loss = make_composer_loss(UNet(config), DiffusionConfig(), 0)

    def gradient(params, batch):
        return jax.value_and_grad(loss, has_aux=True)(params, batch, 0)

    found = flops(gradient, weights(config, SHAPE), batch_of(config, SHAPE))
    assert abs(unet_gradient(config, SHAPE) / found - 1) < 0.05


def test_what_is_computed_again_costs_more():
    costs = [
        unet_gradient(dataclasses.replace(MIDDLE, remat=remat), SHAPE)
        for remat in ('none', 'block', 'full')
    ]
    once = sum(unet_forward(MIDDLE, SHAPE).values())
    assert costs[0] < costs[1] < costs[2] < 5 * once
    assert 0.5 * once < costs[1] - costs[0] < once


@pytest.mark.parametrize('tones_per_octave', [0, 3])
def test_the_autoencoder_is_counted_to_the_last_product(tones_per_octave):
    config = AutoencoderConfig(
        tones_per_octave=tones_per_octave,
        tone_window=500,
        strides=(8, 3, 2),
        channels=(10, 12, 14),
        encoder_blocks=(1, 0, 2),
        decoder_blocks=(2, 1, 0),
        latent_channels=6,
        kernel=5,
        bands=3,
    )
    model, sound = Autoencoder(config), jnp.zeros((2, 5 * config.hop_samples, 2))
    params = jax.eval_shape(lambda: nn.unbox(model.init(jax.random.key(0), sound)))
    counts = autoencoder_forward(config, batch=2, frames=5)
    latents = jnp.zeros((2, 5, 6))
    for name, argument in (('encode', sound), ('decode', latents)):
        method = getattr(Autoencoder, name)
        assert (
            products(lambda p, x, m=method: model.apply(p, x, method=m), params, argument)
            == (counts[name])
        )


@pytest.mark.parametrize('tones_per_octave', [0, 24])
def test_training_the_autoencoder_is_within_a_twentieth_of_what_xla_counts(tones_per_octave):
    config = AutoencoderConfig(
        tones_per_octave=tones_per_octave,
        strides=(480, 4),
        channels=(192, 256),
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 2),
        latent_channels=64,
    )
    model, sound = Autoencoder(config), jnp.zeros((1, 10 * config.hop_samples, 2))
    params = jax.eval_shape(lambda: nn.unbox(model.init(jax.random.key(0), sound)))

    def gradient(params, sound):
        return jax.grad(lambda p: jnp.sum(jnp.square(model.apply(p, sound))))(params)

    found = flops(gradient, params, sound)
    assert abs(autoencoder_gradient(config, batch=1, frames=10) / found - 1) < 0.05
