"""Actions of a session as one writes them on a command line: JSON, or in short.

    compose[:TRACK,...]                       upload:TRACK:FILE
    regenerate:TRACK[:FROM-TO,...]            keep:TRACK,...  open:TRACK,...
    continue:SECONDS[:end|start[:TRACK,...]]  select:TRACK:TAKE, or the beginning of its id
    vary:TRACK[:STRENGTH]                     gain:TRACK:DB   mute, unmute, solo, unsolo:TRACK,...
    undo, redo, forget                        prompt:WORDS    tempo:BPM   key:KEY   seconds:S

What is composed takes words behind it, such as "compose:drums seed=3 steps=20 guidance=2".
"""

import json
from collections.abc import Mapping
from typing import Any

from data_pipeline.audio import decode, read_bytes
from jen1composer.errors import BadInput
from jen1composer.generation.actions import Action, Upload, action_from_json
from jen1composer.generation.session import Session

# Short name -> the action, and its fields in their order; those from the `least`-th on may be left.
_FORMS: Mapping[str, tuple[str, tuple[str, ...], int]] = {
    'compose': ('compose', ('tracks',), 0),
    'regenerate': ('regenerate', ('track', 'spans'), 1),
    'continue': ('continue', ('seconds', 'side', 'tracks'), 1),
    'vary': ('vary', ('track', 'strength'), 1),
    'select': ('select', ('track', 'take'), 2),
    'gain': ('mix', ('track', 'gain_db'), 2),
    'prompt': ('set', ('prompt',), 1),
    'tempo': ('set', ('tempo_bpm',), 1),
    'key': ('set', ('key',), 1),
    'chords': ('set', ('chords',), 1),
    'seconds': ('set', ('seconds',), 1),
    'undo': ('undo', (), 0),
    'redo': ('redo', (), 0),
    'forget': ('forget', (), 0),
}
_SWITCHES: Mapping[str, tuple[str, str, bool]] = {
    'keep': ('keep', 'kept', True),
    'open': ('keep', 'kept', False),
    'mute': ('mix', 'muted', True),
    'unmute': ('mix', 'muted', False),
    'solo': ('mix', 'solo', True),
    'unsolo': ('mix', 'solo', False),
}
_COMPOSED = ('compose', 'regenerate', 'continue', 'vary')
_NUMBERS = (
    'seed',
    'steps',
    'guidance',
    'given_guidance',
    'control_guidance',
    'strength',
    'seconds',
    'gain_db',
)
_ALLOWED = ', '.join(['upload', *_FORMS, *_SWITCHES])


def parse_actions(text: str, session: Session) -> tuple[Action, ...]:
    """The actions that one --do asks for; `session` knows the takes that are named in short.

    Raises BadInput, beginning with `--do=TEXT`, for what is no action.
    """
    try:
        return _parse(text.strip(), session)
    except BadInput as error:
        raise BadInput(f'--do={text}: {error}') from error


def upload(track: str, path: str) -> Upload:
    """The sound of a file as it is in it, of any rate and length."""
    audio, rate = decode(read_bytes(path), path, exact=True)
    name = path.replace('\\', '/').rpartition('/')[2]
    return Upload(track=track, audio=audio, rate=rate, name=name)


def _parse(text: str, session: Session) -> tuple[Action, ...]:
    if text.startswith('{'):
        try:
            return (action_from_json(json.loads(text)),)
        except ValueError as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f'is not JSON ({error}); allowed is an object') from error
    name, _, rest = text.partition(':')
    words: list[str] = []
    if name.split()[:1] and name.split()[0] in _COMPOSED:
        (first, *words) = text.split()
        name, _, rest = first.partition(':')
    if name == 'upload':
        track, colon, path = rest.partition(':')
        if not (track and colon and path):
            raise BadInput('allowed is upload:TRACK:FILE')
        return (upload(track, path),)
    if name in _SWITCHES:
        switch, field, on = _SWITCHES[name]
        if not rest:
            raise BadInput(f'allowed is {name}:TRACK,...')
        return tuple(
            action_from_json({'do': switch, 'track': track, field: on}) for track in rest.split(',')
        )
    if name not in _FORMS:
        raise BadInput(f'unknown action {name!r}; allowed are {_ALLOWED}, or JSON')
    kind, fields, least = _FORMS[name]
    parts = [rest] if name == 'prompt' else rest.split(':') if rest else []
    if not least <= len(parts) <= len(fields):
        allowed = ''.join(
            f':{f.upper()}' if k < least else f'[:{f.upper()}]' for k, f in enumerate(fields)
        )
        raise BadInput(f'allowed is {name}{allowed}')
    said = {field: _value(field, part) for field, part in zip(fields, parts, strict=False)}
    for word in words:
        field, equals, value = word.partition('=')
        if not equals:
            raise BadInput(f'{word!r}; allowed are words such as seed=3')
        said[field] = _value(field, value)
    if kind == 'select':
        said['take'] = _whole_id(session, said['track'], said['take'])
    return (action_from_json({'do': kind, **said}),)


def _value(field: str, text: str) -> Any:
    """A field's JSON value."""
    if field == 'tracks':
        return [name for name in text.split(',') if name]
    if field == 'spans':
        return [[_number(field, part) for part in span.split('-')] for span in text.split(',')]
    return _number(field, text) if field in (*_NUMBERS, 'tempo_bpm') else text


def _number(field: str, text: str) -> float:
    try:
        return int(text) if text.strip().isdecimal() else float(text)
    except ValueError as error:
        raise BadInput(f'{field}: {text!r} is no number') from error


def _whole_id(session: Session, track: str, start: str) -> str:
    """The id of the one take of a lane that begins like this; else what was written."""
    found = [take.id for take in session.piece.lane(track).takes if take.id.startswith(start)]
    return found[0] if len(found) == 1 else start
