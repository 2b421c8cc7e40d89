"""The section `loop` of a config: how long a run goes on, and what it does from time to time."""

from collections.abc import Mapping
from typing import Any

from jen1composer.errors import BadInput
from jen1composer.training.loop import LoopConfig


def make_loop(section: Mapping[str, Any], **given: Any) -> LoopConfig:
    """The loop of a section, with what is `given` beside it; raises BadInput for what it refuses.

    `writers` is a list of names with commas between, as they are given on a command line.
    """
    fields = {**section, **given}
    if isinstance(fields.get('writers'), str):
        fields['writers'] = tuple(filter(None, fields['writers'].split(',')))
    try:
        return LoopConfig(**fields)
    except TypeError as error:
        raise BadInput(f'--config.loop: {error}') from error
