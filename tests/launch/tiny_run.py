"""A composer's run small enough for a test, as a config and as flags of launch.train_composer.

It is of what lies in a folder: latents/, and codec/, which encoded them.
"""

import pathlib
from typing import Any

from ml_collections import ConfigDict

from configs import demo

TINY: dict[str, Any] = {
    'data.window_frames': 16,
    'batch': 8,
    'validation_batches': 1,
    'curriculum.stage_steps': (1, 1),
    'model.channels': (16, 16),
    'model.factors': (1, 2),
    'model.blocks': (1, 1),
    'model.attentions': (0, 1),
    'model.head_width': 8,
    'model.condition_width': 16,
    'optimizer.warmup_steps': 1,
}


def settings(folder: pathlib.Path, **changes: Any) -> dict[str, Any]:
    """By dotted key; in the names of `changes` a point is two underscores."""
    where = {'data.latents': str(folder / 'latents'), 'data.autoencoder': str(folder / 'codec')}
    return where | TINY | {key.replace('__', '.'): value for key, value in changes.items()}


def config(folder: pathlib.Path, **changes: Any) -> ConfigDict:
    config = demo.get_config('quick')
    config.update_from_flattened_dict(settings(folder, **changes))
    return config


def flags(folder: pathlib.Path, **changes: Any) -> list[str]:
    of = settings(folder, **changes)
    return ['--config=configs/demo.py:quick', *(f'--config.{key}={of[key]}' for key in of)]
