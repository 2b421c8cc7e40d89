"""A checkpoint on other devices and in another layout: each leaf comes back whole and equal."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jen1composer.sharding.layout import Layout
from jen1composer.sharding.strategies import strategy
from jen1composer.training.checkpoints import Checkpoints
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.program import Recipe, make_program
from jen1composer.training.state import TrainState
from tests.jen1composer.training import toy

OPTIMIZER = make_optimizer(OptimizerConfig(peak_learning_rate=1e-3, total_steps=10))


WEIGHTS = {  # logical axes, shape: what a network has, and an odd one that no two devices share
    'inner': ((None, 'channel', 'inner'), (3, 16, 8)),
    'heads': (('heads', 'channel'), (8, 16)),
    'norm': (('norm',), (16,)),
    'odd': (('channel', 'inner'), (5, 7)),
}


def init_params() -> dict[str, nn.LogicallyPartitioned]:
    return {
        name: nn.LogicallyPartitioned(jnp.zeros(shape), names=axes)
        for name, (axes, shape) in WEIGHTS.items()
    }


def layout(name: str, num_devices: int, mesh: str = '') -> Layout:
    """Every weight is split that can be; by default small ones stay whole."""
    place = strategy(name).layout(mesh, devices=jax.devices()[:num_devices])
    rules = dataclasses.replace(place.rules, whole_below_bytes=0, most_whole=1.0)
    return dataclasses.replace(place, rules=rules)


def abstract(place: Layout) -> TrainState:
    """Weights, moments, average and counts as a run would ask for them."""
    recipe = Recipe(
        init_params=init_params,
        loss_fn=lambda params, batch, step: (0.0, {}),
        optimizer=OPTIMIZER,
        ema_decay=0.9,
        layout=place,
    )
    return make_program(recipe).abstract


def random_state(like: TrainState) -> TrainState:
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jax.device_put(
            rng.integers(0, 1000, leaf.shape).astype(leaf.dtype), leaf.sharding
        ),
        like,
    )


def test_from_eight_devices_to_four_to_one_and_back_in_five_layouts(tmp_path):
    wanted = [
        abstract(layout('fsdp', 8)),
        abstract(layout('fsdp_tp', 4, 'fsdp=2,tensor=2')),
        abstract(layout('dp', 1)),
        abstract(layout('tp', 8, 'data=2,tensor=4')),
        abstract(layout('hybrid', 8)),
        abstract(layout('dp', 8)),
    ]
    whole = [all(leaf.sharding.is_fully_replicated for leaf in jax.tree.leaves(w)) for w in wanted]
    assert whole == [False, False, True, False, False, True]
    state = expected = random_state(wanted[0])
    for number, like in enumerate(wanted):
        checkpoints = Checkpoints(tmp_path, identity={})
        checkpoints.save(number, state)
        checkpoints.close()
        checkpoints = Checkpoints(tmp_path, identity={})
        state = checkpoints.restore(like)
        checkpoints.close()
        toy.assert_bit_equal(state, expected)
        for found, leaf in zip(jax.tree.leaves(state), jax.tree.leaves(like), strict=True):
            assert found.sharding == leaf.sharding
