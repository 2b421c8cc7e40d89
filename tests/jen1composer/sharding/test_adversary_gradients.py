"""Strategies agree on the adversary: every leaf of both networks' gradients, against one device.

As `test_gradients` for the composer; here the convolutions are strided and two-dimensional, the
branch is conditional, and each network has an optimiser of its own.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jen1composer.models.autoencoder import Autoencoder
from jen1composer.sharding.mesh import make_mesh
from jen1composer.sharding.rules import batch_sharding, state_shardings, strategy
from jen1composer.training.adversary import AUTOENCODER, DISCRIMINATOR, two_optimizers
from jen1composer.training.autoencoder_losses import AutoencoderLossConfig
from jen1composer.training.autoencoder_step import AutoencoderTaskConfig, init_params, make_loss
from jen1composer.training.state import TrainState, initial_state
from jen1composer.training.step import make_train_step
from tests import tiny
from tests.jen1composer.sharding.test_gradients import by_name, worst
from tests.jen1composer.tiny_adversary import adversary
from tests.jen1composer.tiny_codec import SMALL, sound

ADVERSARY = adversary(adversarial=1.0, feature_matching=1.0, counts_from=0, ramp_steps=1)
AUTOENCODER_MODEL = Autoencoder(SMALL)
LOSS = make_loss(
    AUTOENCODER_MODEL,
    AutoencoderTaskConfig(losses=AutoencoderLossConfig(sizes=(64,))),
    0,
    ADVERSARY,
)
SGD = optax.sgd(0.05, momentum=0.9)  # its trace after one step is the gradient
OPTIMIZER = two_optimizers(SGD, SGD)
STEP = make_train_step(LOSS, OPTIMIZER, 0.9, (AUTOENCODER, DISCRIMINATOR))
BATCH = {
    'waveform': jnp.asarray(sound(16, 200, 2)),
    'index': jnp.arange(16, dtype=jnp.uint32),
}


def boxed_state() -> TrainState:
    return initial_state(lambda: init_params(AUTOENCODER_MODEL, 0, ADVERSARY), OPTIMIZER)


@functools.cache
def start() -> TrainState:
    """On one device, with no weight at zero, and past the ramp."""
    params = jax.jit(lambda: nn.unbox(init_params(AUTOENCODER_MODEL, 0, ADVERSARY)))()
    state = initial_state(lambda: tiny.randomised(params), OPTIMIZER)
    return dataclasses.replace(state, step=jnp.asarray(9, jnp.int32))


def gradient(step, state, batch) -> dict[str, np.ndarray]:
    state, metrics = step(state, batch)
    assert metrics['adversary_ramp'] == 1
    return by_name(
        {
            network: optax.tree.get(state.opt_state.inner_states[network], 'trace')[network]
            for network in (AUTOENCODER, DISCRIMINATOR)
        }
    )


@functools.cache
def on_one_device() -> dict[str, np.ndarray]:
    return gradient(jax.jit(STEP), start(), BATCH)


@pytest.mark.parametrize(('name', 'data', 'fsdp'), [('dp', 8, 1), ('fsdp', 2, 4)])
def test_every_leaf_of_both_gradients_agrees(name, data, fsdp):
    mesh = make_mesh(data=data, fsdp=fsdp)
    rules = dataclasses.replace(strategy(name), whole_below_bytes=0)
    shardings = state_shardings(jax.eval_shape(boxed_state), mesh, rules)
    batches = batch_sharding(mesh, rules)
    step = jax.jit(STEP, in_shardings=(shardings, batches), out_shardings=(shardings, None))
    state = jax.device_put(start(), shardings)
    split = [
        leaf
        for leaf in jax.tree.leaves(state.params[DISCRIMINATOR])
        if not leaf.is_fully_replicated
    ]
    assert (len(split) >= 6) == (name == 'fsdp')
    found = gradient(step, state, jax.device_put(BATCH, batches))
    expected = on_one_device()
    assert all(np.abs(leaf).max() > 1e-5 for leaf in expected.values())  # none is dead
    assert worst(found, expected) <= 1
