"""Separate models, one for each track, in the place of the one over all: to compare with.

(1) prediction of track k = UNet_k(x_k, t_k, shown_k, the task of k alone, text)

They are called, trained and sampled like the joint one, on the same batches; what a track is given
of the others does not reach its model. The prefix names the targets of the joint task: a config of
separate models switches it off.
"""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp

from jen1composer.diffusion.batch import Task, Text
from jen1composer.errors import BadInput
from jen1composer.models.layers import ANYWHERE, Placement
from jen1composer.models.unet import UNet
from jen1composer.models.unet_config import UNetConfig


class SeparateUNets(nn.Module):
    """`num_tracks` UNets of one track each; raises BadInput for a config of more."""

    config: UNetConfig  # of each
    num_tracks: int
    place: Placement = ANYWHERE

    @nn.compact
    def __call__(
        self, x: jax.Array, t: jax.Array, shown: jax.Array, task: Task, text: Text
    ) -> jax.Array:
        """Equation (1), all shaped as `UNet` takes them; [batch, track, frame, channel]."""
        if self.config.num_tracks != 1:
            raise BadInput(f'separate models: num_tracks {self.config.num_tracks}; allowed is 1')
        predictions = []
        for k in range(self.num_tracks):
            only = slice(k, k + 1)
            own = dataclasses.replace(
                task, roles=task.roles[:, only], visible=task.visible[:, only]
            )
            unet = UNet(self.config, self.place, name=f'track_{k}')
            predictions.append(unet(x[:, only], t[:, only], shown[:, only], own, text))
        return jnp.concatenate(predictions, axis=1)
