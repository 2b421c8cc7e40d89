"""Discriminators that run in milliseconds: two periods, one spectrum, and random weights."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.models.discriminator import DiscriminatorConfig, Discriminators
from jen1composer.training.adversary import Adversary, AdversaryConfig

TINY = DiscriminatorConfig(
    periods=(2, 5),
    period_channels=(4, 6),
    sizes=(64,),
    spectrum_channels=4,
    dilations=(2,),
)
MODEL = Discriminators(TINY)


@functools.cache
def _params():
    init = jax.jit(MODEL.init)
    return nn.unbox(init(jax.random.key(1), jnp.zeros((1, 200, 2)))['params'])


def params():
    """A tree of its own each time, so that it may be changed."""
    return jax.tree.map(lambda leaf: leaf, _params())


def adversary(**config) -> Adversary:
    return Adversary(model=MODEL, config=AdversaryConfig(**config))
