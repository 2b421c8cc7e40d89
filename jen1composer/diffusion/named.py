"""Choices that a config makes by name, with their parameters."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from jen1composer.errors import BadInput

T = TypeVar('T')


def make_named(
    kind: str, table: Mapping[str, type[T]], name: str, parameters: Mapping[str, Any], **given: Any
) -> T:
    """The dataclass that `table` holds under `name`, with `parameters` and `given` as its fields.

    Raises:
        BadInput: for a name or a parameter that is not there, with those that are. Values are
            checked by the dataclass itself.
    """
    if name not in table:
        raise BadInput(f'{kind}: {name!r}; allowed are {", ".join(table)}')
    choice: Any = table[name]
    fields = [field.name for field in dataclasses.fields(choice) if field.init]
    allowed = [field for field in fields if field not in given]
    for unknown in sorted(parameters.keys() - set(allowed)):
        raise BadInput(f'{kind} {name}: {unknown!r}; allowed are {", ".join(allowed) or "none"}')
    made: T = choice(**parameters, **given)
    return made
