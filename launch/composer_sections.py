"""Sections of a composer's config as what the library takes: the curriculum and the diffusion."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from data_pipeline.curriculum import Curriculum, Stage
from data_pipeline.kinds import Kinds
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import make_schedule
from jen1composer.diffusion.time_sampling import make_time_sampling
from jen1composer.diffusion.weighting import make_weighting
from jen1composer.errors import BadInput, require
from jen1composer.training.composer_step import DiffusionConfig


def make_curriculum(config: ConfigDict, num_tracks: int) -> Curriculum:
    """The curriculum of a config's section `curriculum`."""
    steps, targets = tuple(config.stage_steps), tuple(config.max_targets)
    if len(steps) != len(targets) or not all(isinstance(n, int) for n in steps + targets):
        raise BadInput(
            f'--config.curriculum: stage_steps={steps}, max_targets={targets}; '
            'allowed are as many whole numbers in both, such as (1500,1500) and (1,4)'
        )
    stages = zip(steps, targets, strict=True)
    return Curriculum(
        num_tracks=num_tracks,
        stages=tuple(Stage(steps=count, max_targets=most) for count, most in stages),
        newest_share=config.newest_share,
        p_given=config.p_given,
        kinds=make_kinds(config),
    )


def make_kinds(config: ConfigDict) -> Kinds:
    """The kinds of tasks in a config's section `curriculum`; text alone where it names none."""
    names = ('p_causal', 'shared_span', 'min_span', 'max_span')
    settings = {name: config[name] for name in names if name in config}
    if 'kinds' in config:  # A list where it was read from a checkpoint.
        settings['shares'] = tuple(config.kinds) if isinstance(config.kinds, list) else config.kinds
    known = {'stage_steps', 'max_targets', 'newest_share', 'p_given', 'kinds', *names}
    for name in config:
        require(name in known, '--config.curriculum', name, f'are {", ".join(sorted(known))}')
    return Kinds(**settings)


def make_diffusion(config: ConfigDict) -> DiffusionConfig:
    """The diffusion of a config's section `diffusion`.

    `time_sampling` and `weighting` are a name, or a section of a name and parameters, such as
    {'name': 'min_snr', 'gamma': 5.0}.
    """
    known = ('prediction', 'schedule', 'time_sampling', 'weighting', 'prompt_dropout')
    for name in config:
        require(name in known, '--config.diffusion', name, f'are {", ".join(known)}')
    return DiffusionConfig(
        prediction=Prediction(config.prediction),
        schedule=make_schedule(config.get('schedule', 'cosine')),
        time_sampling=make_time_sampling(*_named(config.get('time_sampling', 'uniform'))),
        weighting=make_weighting(*_named(config.get('weighting', 'uniform'))),
        prompt_dropout=config.prompt_dropout,
    )


def _named(choice: str | ConfigDict) -> tuple[str, Mapping[str, Any]]:
    if isinstance(choice, str):
        return choice, {}
    parameters = choice.to_dict()
    return parameters.pop('name', ''), parameters
