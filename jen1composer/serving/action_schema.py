"""The JSON schema of actions, made of the dataclasses that they are: see `generation.actions`."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

from jen1composer.generation.actions import ACTIONS, Action, Upload

PLAIN = {str: 'string', bool: 'boolean', int: 'integer', float: 'number'}


def actions_schema() -> dict[str, Any]:
    """One of all actions but the upload, whose sound is a request of its own."""
    kinds = [kind for kind in ACTIONS.values() if kind is not Upload]
    return {'oneOf': [action_schema(kind) for kind in kinds]}


def action_schema(kind: type[Action]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    properties: dict[str, Any] = {'do': {'const': kind.do}}
    required = ['do']
    for field in dataclasses.fields(kind):
        properties[field.name] = type_schema(hints[field.name])
        if field.default is dataclasses.MISSING:
            required.append(field.name)
        elif field.default is not None:
            properties[field.name] |= {'default': field.default}
    return {
        'title': kind.do,
        'description': ' '.join((kind.__doc__ or '').split()),
        'type': 'object',
        'properties': properties,
        'required': required,
        'additionalProperties': False,
    }


def type_schema(kind: Any) -> Mapping[str, Any]:
    """Of a type that a field of an action has."""
    if kind in PLAIN:
        return {'type': PLAIN[kind]}
    parts = typing.get_args(kind)
    if isinstance(kind, types.UnionType):
        (part,) = (part for part in parts if part is not types.NoneType)
        return {'anyOf': [type_schema(part), {'type': 'null'}]}
    if parts[-1] is Ellipsis:
        return {'type': 'array', 'items': type_schema(parts[0])}
    return {
        'type': 'array',
        'items': type_schema(parts[0]),
        'minItems': len(parts),
        'maxItems': len(parts),
    }
