"""Separate models: each hears its own track and nothing of the others."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jen1composer.errors import BadInput
from jen1composer.models.separate import SeparateUNets
from jen1composer.models.unet import UNet
from jen1composer.training.state import parameter_count
from tests import tiny

ONE = dataclasses.replace(
    tiny.UNET, num_tracks=1, channels=(8,), factors=(1,), blocks=(1,), attentions=(0,)
)
MODEL = SeparateUNets(dataclasses.replace(ONE, use_prefix=False), 4)
BATCH = tiny.make_batch()
TIMES = jnp.full(BATCH.task.roles.shape, 0.5)


def call(params, x):
    return MODEL.apply({'params': params}, x, TIMES, x, BATCH.task, BATCH.text)


def test_a_track_depends_on_itself_alone_and_on_its_own_weights():
    inputs = (BATCH.latents, TIMES, BATCH.latents, BATCH.task, BATCH.text)
    params = tiny.randomised(nn.unbox(MODEL.init(jax.random.key(0), *inputs)['params']))
    before = call(params, BATCH.latents)
    after = call(params, BATCH.latents + (np.arange(4) == 2)[:, None, None].astype(np.float32))
    changed = np.abs(np.asarray(after - before)).max(axis=(0, 2, 3)) > 0
    assert changed.tolist() == [False, False, True, False]
    one = UNet(MODEL.config)
    own = dataclasses.replace(
        BATCH.task, roles=BATCH.task.roles[:, 1:2], visible=BATCH.task.visible[:, 1:2]
    )
    x = BATCH.latents[:, 1:2]
    alone = one.apply({'params': params['track_1']}, x, TIMES[:, :1], x, own, BATCH.text)
    np.testing.assert_allclose(before[:, 1:2], alone, atol=1e-6)
    assert parameter_count(params) == 4 * parameter_count(params['track_0'])


def test_a_config_of_several_tracks_is_refused():
    with pytest.raises(BadInput, match='num_tracks 4; allowed is 1'):
        SeparateUNets(tiny.UNET, 4).init(
            jax.random.key(0), BATCH.latents, TIMES, BATCH.latents, BATCH.task, BATCH.text
        )
