"""The network and the predictor of a cell: what its sections `model` and `ablation` say.

The section `ablation` holds what no composer is, and only comparisons are made with:

    tracks  'joint', or 'separate' models, one a track (`models.separate`)
    times   'per_track', or 'shared': one time for all (`diffusion.shared_time`)

A model of one time is trained with every track a target, whatever the curriculum, on the same
examples: that is all it can be trained on.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from data_pipeline.curriculum import Curriculum, Stage
from jen1composer.diffusion.batch import Task
from jen1composer.diffusion.guidance import Predictor
from jen1composer.diffusion.shared_time import at_one_time, joined_tasks
from jen1composer.errors import BadInput, require
from jen1composer.models.separate import SeparateUNets
from jen1composer.models.unet import UNet
from jen1composer.training.composer_step import DiffusionConfig, make_predictor
from jen1composer.training.state import PyTree
from jen1composer.training.workdir import unet_config
from launch.composer_sections import make_curriculum

TRACKS, TIMES = ('joint', 'separate'), ('per_track', 'shared')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ablated:
    """A cell's network with how it is asked; hashable, to be a static argument."""

    model: nn.Module
    diffusion: DiffusionConfig
    shared_time: bool

    def predictor(self, params: PyTree, noise: jax.Array) -> Predictor:
        """The network as it is asked; `noise` is what given tracks get where time is shared."""
        predict = make_predictor(self.model, params)
        return at_one_time(predict, noise, self.diffusion.schedule) if self.shared_time else predict

    def task(self, task: Task) -> Task:
        """The task that is posed to do `task`."""
        return joined_tasks(task) if self.shared_time else task


def make_ablated(
    config: ConfigDict, given: Mapping[str, Any], diffusion: DiffusionConfig
) -> Ablated:
    """The network of a cell; `given` are num_tracks, latent_channels and text_width.

    Raises BadInput, naming the key, for what is unknown or makes no sense.
    """
    section = config.ablation
    require(section.tracks in TRACKS, '--config.ablation.tracks', section.tracks, f'are {TRACKS}')
    require(section.times in TIMES, '--config.ablation.times', section.times, f'are {TIMES}')
    fields, tracks = {**given, **config.model.to_dict()}, given['num_tracks']
    model: nn.Module
    if section.tracks == 'joint':
        model = UNet(unet_config(fields))
    else:
        if fields.get('use_prefix', True):
            raise BadInput(
                '--config.model.use_prefix: True; allowed with separate models is False: it names '
                'the tracks of others'
            )
        model = SeparateUNets(unet_config({**fields, 'num_tracks': 1}), tracks)
    return Ablated(model=model, diffusion=diffusion, shared_time=section.times == 'shared')


def cell_curriculum(config: ConfigDict, num_tracks: int) -> Curriculum:
    """The curriculum of a cell: that of its config, unless it can only be trained on one task."""
    curriculum = make_curriculum(config.curriculum, num_tracks)
    if config.ablation.times == 'per_track':
        return curriculum
    all_tracks = tuple(float(k == num_tracks - 1) for k in range(num_tracks))
    stages = tuple(Stage(steps=stage.steps, shares=all_tracks) for stage in curriculum.stages)
    return dataclasses.replace(curriculum, stages=stages)
