"""What a person can do in a session, as data; each action has a JSON form.

    {"do": "compose", "tracks": ["drums"], "seed": 3}
    {"do": "regenerate", "track": "bass", "spans": [[1.0, 2.5]], "seed": 4}
    {"do": "continue", "seconds": 5, "side": "end"}
    {"do": "vary", "track": "melody", "strength": 0.4}
    {"do": "upload", "track": "bass", "name": "mine.wav"}      the sound is sent apart
    {"do": "keep", "track": "bass", "kept": true}
    {"do": "select", "track": "bass", "take": "9f3c2a..."}
    {"do": "mix", "track": "bass", "gain_db": -3, "muted": false, "solo": true}
    {"do": "set", "prompt": "dark rock", "tempo_bpm": 120, "key": "A minor", "seconds": 10}
    {"do": "undo"}, {"do": "redo"}

(1) The JSON form is the fields of the dataclass; a field may be left out where it has a default.
(2) `action_from_json(action_to_json(a)) == a`; what is not of this form is refused, naming the
    field.

What an action does is said in `session_steps`; seconds are of the piece, from its start.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.generation.progression import parse_progression
from jen1composer.generation.request import MAX_SECONDS, Request
from jen1composer.generation.words import check_key, check_tempo
from jen1composer.tracks import SAMPLE_RATE

Spans = tuple[tuple[float, float], ...]

MAX_GAIN_DB = 24.0
MIN_GAIN_DB = -120.0
SIDES = ('end', 'start')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Action:
    """Anything that is done; `do` is its name in JSON."""

    do: ClassVar[str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Composed(Action):
    """What the composer is asked for; the fields are those of a `Request`."""

    seed: int = 0
    steps: int = 50
    guidance: float | None = None
    given_guidance: float | None = None
    control_guidance: float | None = None
    sampler: str = 'dpmpp_2m'

    def __post_init__(self) -> None:
        Request(seed=self.seed, num_steps=self.steps)  # raises BadInput for what it refuses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compose(Composed):
    """Makes `tracks`, or every lane that is not kept; kept lanes with a take are listened to.

    With a `strength` below 1 each is made from what it is, as a variation.
    """

    do = 'compose'
    tracks: tuple[str, ...] = ()
    strength: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.strength <= 1, 'strength', self.strength, 'is 0 to 1')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regenerate(Composed):
    """Makes one track anew, or `spans` of it in seconds; the others are listened to."""

    do = 'regenerate'
    track: str
    spans: Spans = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for start_s, end_s in self.spans:
            fits = 0 <= start_s < end_s
            require(fits, 'spans', [start_s, end_s], 'are [from, to] in seconds, rising, from 0')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Continue(Composed):
    """Makes the piece longer by `seconds` at one side: `tracks`, or all lanes with takes, go on."""

    do = 'continue'
    seconds: float
    side: str = 'end'
    tracks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = 1 / SAMPLE_RATE <= self.seconds <= MAX_SECONDS
        require(fits, 'seconds', self.seconds, f'are more than 0, up to {MAX_SECONDS:g}')
        require(self.side in SIDES, 'side', self.side, f'are {", ".join(SIDES)}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vary(Composed):
    """Makes one track from what it is: 0 leaves it, 1 makes it anew; the others are listened to."""

    do = 'vary'
    track: str
    strength: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.strength <= 1, 'strength', self.strength, 'is 0 to 1')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upload(Action):
    """Sound of one's own as a take of a lane, which is kept from then on.

    Attributes:
        audio: floating point [sample, channel], one or two channels; it is never changed.
        rate: of its samples.
        name: of the file that it came from.
    """

    do = 'upload'
    track: str
    audio: np.ndarray = dataclasses.field(compare=False, repr=False)
    rate: int = SAMPLE_RATE
    name: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keep(Action):
    """Locks a lane, or opens it: a kept lane is listened to and never made anew."""

    do = 'keep'
    track: str
    kept: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Select(Action):
    """Makes another take of a lane the one that is heard."""

    do = 'select'
    track: str
    take: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix(Action):
    """How a lane sounds in the mix; what is None stays."""

    do = 'mix'
    track: str
    gain_db: float | None = None
    muted: bool | None = None
    solo: bool | None = None

    def __post_init__(self) -> None:
        fits = self.gain_db is None or MIN_GAIN_DB <= self.gain_db <= MAX_GAIN_DB
        require(fits, 'gain_db', self.gain_db, f'are {MIN_GAIN_DB:g} to {MAX_GAIN_DB:g}')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Set(Action):
    """What the whole piece is: None stays; a tempo of 0, an empty key or no chords say none.

    Chords are a progression such as 'Am F C G', which needs a tempo.
    """

    do = 'set'
    prompt: str | None = None
    tempo_bpm: float | None = None
    key: str | None = None
    chords: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.chords:
            parse_progression('chords', self.chords)
        if self.tempo_bpm:
            check_tempo(self.tempo_bpm)
        if self.key:
            check_key(self.key)
        if self.seconds is not None:
            Request(seconds=self.seconds)  # raises BadInput for what no piece can last
        if self.prompt is not None:
            Request(prompt=self.prompt)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Undo(Action):
    do = 'undo'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Redo(Action):
    do = 'redo'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forget(Action):
    """Frees room: forgets every step and every take that is not heard; it cannot be undone."""

    do = 'forget'


ACTIONS: Mapping[str, type[Action]] = types.MappingProxyType(
    {
        kind.do: kind
        for kind in (
            Compose,
            Regenerate,
            Continue,
            Vary,
            Upload,
            Keep,
            Select,
            Mix,
            Set,
            Undo,
            Redo,
            Forget,
        )
    }
)


def action_to_json(action: Action) -> dict[str, Any]:
    """The JSON form, with every field; the sound of an upload is left out."""
    fields = {f.name: getattr(action, f.name) for f in dataclasses.fields(action)}
    fields.pop('audio', None)
    return {'do': action.do} | {name: _plain(value) for name, value in fields.items()}


def action_from_json(value: Any, audio: np.ndarray | None = None) -> Action:
    """The action of a JSON form; `audio` is the sound of an upload.

    Raises BadInput, naming the field, for what no action is.
    """
    if not isinstance(value, Mapping):
        raise BadInput(f'action: {value!r}; allowed is an object such as {{"do": "compose"}}')
    kind = ACTIONS.get(value.get('do', '')) if isinstance(value.get('do'), str) else None
    if kind is None:
        raise BadInput(f'do: {value.get("do")!r}; allowed are {", ".join(ACTIONS)}')
    known = {field.name: field for field in dataclasses.fields(kind) if field.name != 'audio'}
    for name in value:
        if name != 'do' and name not in known:
            raise BadInput(f'{name}: {kind.do} has no such field; allowed are {", ".join(known)}')
    hints = typing.get_type_hints(kind)
    fields = {n: _read(n, value[n], hints[n]) for n in known if n in value}
    for name, field in known.items():
        if name not in fields and field.default is dataclasses.MISSING:
            raise BadInput(f'{name}: is missing; {kind.do} needs it')
    if kind is Upload:
        if audio is None:
            raise BadInput('audio: is missing; the sound of an upload is sent beside its JSON')
        fields['audio'] = audio
    return kind(**fields)


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _read(name: str, value: Any, kind: Any) -> Any:
    """`value` as a field of the type `kind`; raises BadInput, naming it, for another type."""
    if isinstance(kind, types.UnionType):  # of a type and None
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
        return None if value is None else _read(name, value, kind)
    if kind is str or kind is bool:
        require(
            isinstance(value, kind), name, value, 'is text' if kind is str else 'is true, false'
        )
        return value
    if kind is int or kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        whole = kind is float or (number and value == int(value) if _finite(value) else False)
        allowed = 'is a number' if kind is float else 'is a whole number'
        require(number and _finite(value) and whole, name, value, allowed)
        return kind(value)
    require(isinstance(value, list | tuple), name, value, 'is a list')
    part, *more = typing.get_args(kind)
    if more == [Ellipsis]:
        return tuple(_read(name, item, part) for item in value)
    require(len(value) == 1 + len(more), name, value, 'is [from, to] in seconds')
    return tuple(_read(name, item, float) for item in value)


def _finite(value: Any) -> bool:
    """Whether a number is one that a float can hold."""
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False
