"""Sections of a composer's config as what the library takes: curriculum, diffusion, optimiser."""

from collections.abc import Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from data_pipeline.curriculum import Curriculum, Stage, Transition
from data_pipeline.kinds import Kinds
from jen1composer.diffusion.prediction import Prediction
from jen1composer.diffusion.schedule import make_schedule
from jen1composer.diffusion.time_sampling import make_time_sampling
from jen1composer.diffusion.weighting import make_weighting
from jen1composer.errors import BadInput, require
from jen1composer.training.composer_step import DiffusionConfig
from jen1composer.training.optimizer import OptimizerConfig, make_optimizer
from jen1composer.training.trainable import freeze_optimizer

SPANS = ('p_causal', 'shared_span', 'min_span', 'max_span')
REQUIRED = ('stage_steps', 'target_shares', 'p_given')
CONTROL = ('control_dropout', 'control_null')
CURRICULUM = (*REQUIRED, 'transition', 'kinds', *SPANS, 'silent_targets')


def make_curriculum(config: ConfigDict, num_tracks: int) -> Curriculum:
    """The curriculum of a config's section `curriculum`: a row of shares for each stage.

    Raises BadInput, naming the key, for what is unknown, missing or makes no sense.
    """
    for name in config:
        require(name in CURRICULUM, '--config.curriculum', name, f'are {", ".join(CURRICULUM)}')
    for name in REQUIRED:
        if name not in config:
            raise BadInput(f'--config.curriculum: has no {name}, which has no default')
    steps, rows = _tuples(config.stage_steps), _tuples(config.target_shares)
    if not (isinstance(steps, tuple) and isinstance(rows, tuple) and len(steps) == len(rows)):
        raise BadInput(
            f'--config.curriculum: stage_steps={steps}, target_shares={rows}; allowed are as many '
            'rows of shares as stages, such as (800, 1600) and ((1, 0, 0, 0), (1, 1, 1, 3))'
        )
    return Curriculum(
        num_tracks=num_tracks,
        stages=tuple(Stage(steps=n, shares=row) for n, row in zip(steps, rows, strict=True)),
        transition=config.get('transition', Transition.STEPPED),
        p_given=config.p_given,
        kinds=make_kinds(config),
    )


def make_kinds(config: ConfigDict) -> Kinds:
    """The kinds of tasks in a config's section `curriculum`; text alone where it names none."""
    settings = {name: config[name] for name in SPANS if name in config}
    if 'kinds' in config:
        settings['shares'] = _tuples(config.kinds)
    return Kinds(**settings)


def make_diffusion(config: ConfigDict) -> DiffusionConfig:
    """The diffusion of a config's section `diffusion`.

    `time_sampling` and `weighting` are a name, or a section of a name and parameters, such as
    {'name': 'min_snr', 'gamma': 5.0}.
    """
    known = ('prediction', 'schedule', 'time_sampling', 'weighting', 'prompt_dropout', *CONTROL)
    for name in config:
        require(name in known, '--config.diffusion', name, f'are {", ".join(known)}')
    return DiffusionConfig(
        prediction=Prediction(config.prediction),
        schedule=make_schedule(config.get('schedule', 'cosine')),
        time_sampling=make_time_sampling(*_named(config.get('time_sampling', 'uniform'))),
        weighting=make_weighting(*_named(config.get('weighting', 'uniform'))),
        prompt_dropout=config.prompt_dropout,
        **{name: config[name] for name in CONTROL if name in config},
    )


def make_composer_optimizer(
    config: ConfigDict, curriculum: Curriculum
) -> optax.GradientTransformation:
    """The optimiser of a config's section `optimizer`, of the parameters `trainable` names."""
    section = config.optimizer.to_dict()
    optimizer = OptimizerConfig(
        total_steps=curriculum.total_steps,
        stage_steps=tuple(stage.steps for stage in curriculum.stages),
        **section | {'stage_rates': _tuples(section.get('stage_rates', ()))},
    )
    return freeze_optimizer(make_optimizer(optimizer), config.get('trainable', ''))


def _named(choice: str | ConfigDict) -> tuple[str, Mapping[str, Any]]:
    if isinstance(choice, str):
        return choice, {}
    parameters = choice.to_dict()
    return parameters.pop('name', ''), parameters


def _tuples(value: Any) -> Any:
    """Lists, which tuples are where a config was read from JSON, as tuples again."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value
