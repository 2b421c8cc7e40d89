"""Configs as a whole: one of another command is refused, and what of one decides the numbers."""

from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jen1composer.errors import BadInput
from jen1composer.training.checkpoints import flat_identity

# Keys that older configs do not have, at the values by which everything is as it was without them.
AS_WITHOUT = {
    'init_from': '',
    'init_partial': False,
    'trainable': '',
    'curriculum.silent_targets': 1.0,
    'model.control': False,
    'diffusion.control_dropout': 0.3,
    'diffusion.control_null': 0.2,
    'optimizer.schedule': 'linear',
    'optimizer.stage_rates': [],
    'optimizer.spike_factor': 0.0,
}


def require_sections(config: ConfigDict, command: str, sections: Sequence[str]) -> None:
    """Raises BadInput where `config` is not one of `command`.

    Args:
      config: what ``--config`` gave.
      command: e.g. ``'train_composer'``.
      sections: what the command reads at the top level: ``'data'``, a value, or ``'model.'``, with
        a point, a section of values.
    """
    missing = []
    for section in sections:
        name = section.removesuffix('.')
        if name not in config or isinstance(config[name], ConfigDict) != section.endswith('.'):
            missing.append(section)
    if missing:
        raise BadInput(
            f'--config: not a config of {command}, which needs {", ".join(missing)} beside '
            f'what is there: {", ".join(config)}'
        )


def identity_of(config: ConfigDict, *, ignore: Sequence[str] = ()) -> dict[str, Any]:
    """What must not change on a resume: the config, flat, without the sections in `ignore`.

    A run that was begun before there was a key goes on with a config that has it, if it says there
    what was done without.
    """
    flat = flat_identity(config, ignore=ignore)
    return {k: v for k, v in flat.items() if not (k in AS_WITHOUT and v == AS_WITHOUT[k])}
