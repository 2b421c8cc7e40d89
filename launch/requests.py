"""Flags that speak of single tracks, TRACK=VALUE,..., as what a request wants."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data_pipeline.audio import read_audio
from jen1composer.errors import BadInput
from jen1composer.generation.request import MAX_SECONDS, MIN_SECONDS, WHOLE, Edit
from jen1composer.tracks import SAMPLE_RATE, parse_tracks

Spans = tuple[tuple[float, float], ...]


def read_sounds(flag: str, entries: Iterable[str], tracks: Sequence[str]) -> dict[str, np.ndarray]:
    """TRACK=FILE: the sound of each track, [sample, 2] at 48 kHz."""
    return {name: read_audio(path) for name, path in _once(flag, entries, tracks, 'file')}


def parse_numbers(flag: str, entries: Iterable[str], tracks: Sequence[str]) -> dict[str, float]:
    """TRACK=NUMBER."""
    return {
        name: _number(f'{flag}={name}={value}', value, 'TRACK=NUMBER')
        for name, value in _once(flag, entries, tracks, 'number')
    }


def parse_spans(flag: str, entries: Iterable[str], tracks: Sequence[str]) -> dict[str, Spans]:
    """TRACK=FROM-TO in seconds, any number of them; without TO, to the end."""
    spans: dict[str, Spans] = {}
    for name, value in _pairs(flag, entries, tracks, 'seconds'):
        entry, allowed = f'{flag}={name}={value}', 'TRACK=FROM-TO in seconds'
        start, dash, end = value.partition('-')
        if not dash:
            raise BadInput(f'{entry}: allowed is {allowed}')
        last = _number(entry, end, allowed) if end.strip() else math.inf
        spans[name] = (*spans.get(name, ()), (_number(entry, start, allowed), last))
    return spans


def make_edits(
    sounds: Mapping[str, np.ndarray],
    begins: Mapping[str, float],
    regenerate: Mapping[str, Spans],
    variations: Mapping[str, np.ndarray],
) -> dict[str, Edit]:
    """The edits that --edit, --begin, --regenerate and --variation ask for."""
    for name in variations:
        if name in sounds:
            raise BadInput(f'--variation: {name} is an --edit too; allowed is one of the two')
    for flag, named in (('--begin', begins), ('--regenerate', regenerate)):
        for name in named:
            if name not in sounds:
                raise BadInput(f'{flag}: {name} has no sound; name its file with --edit')
    edits = {
        name: Edit(
            audio=audio,
            start_s=begins.get(name, 0.0),
            regenerate=regenerate.get(name, ()),
            called='--edit',
        )
        for name, audio in sounds.items()
    }
    return edits | {
        name: Edit(audio=audio, regenerate=WHOLE, called='--variation')
        for name, audio in variations.items()
    }


def seconds_of(edits: Mapping[str, Edit]) -> float | None:
    """When the last of the edits ends; None without any; refuses what no piece can last."""
    ends = {name: e.start_s + len(e.audio) / SAMPLE_RATE for name, e in edits.items()}
    if not ends:
        return None
    last = max(ends, key=lambda name: ends[name])
    if not MIN_SECONDS <= ends[last] <= MAX_SECONDS:
        raise BadInput(
            f'{edits[last].called}={last}: ends at {ends[last]:.4g} s; allowed are {MIN_SECONDS} '
            f'to {MAX_SECONDS:g} s, or another length by --seconds'
        )
    return ends[last]


def parse_scales(
    flag: str, entries: Sequence[str], tracks: Sequence[str]
) -> float | dict[str, float] | None:
    """One NUMBER for all given tracks, or TRACK=NUMBER,... for some; None without any."""
    if not entries:
        return None
    if len(entries) == 1 and '=' not in entries[0]:
        return _number(f'{flag}={entries[0]}', entries[0], 'a number or TRACK=NUMBER,...')
    return parse_numbers(flag, entries, tracks)


def parse_interval(flag: str, value: str) -> tuple[float, float]:
    """LOW-HIGH."""
    low, _, high = value.partition('-')
    entry, allowed = f'{flag}={value}', 'LOW-HIGH within 0 to 1'
    return _number(entry, low, allowed), _number(entry, high, allowed)


def _once(
    flag: str, entries: Iterable[str], tracks: Sequence[str], what: str
) -> list[tuple[str, str]]:
    """`_pairs`, of which no track may have two."""
    pairs = _pairs(flag, entries, tracks, what)
    for number, (name, value) in enumerate(pairs):
        if name in [earlier for earlier, _ in pairs[:number]]:
            raise BadInput(
                f'{flag}={name}={value}: {name} is given twice; allowed is one {what} a track'
            )
    return pairs


def _pairs(
    flag: str, entries: Iterable[str], tracks: Sequence[str], what: str
) -> list[tuple[str, str]]:
    """TRACK=VALUE,... as (track, value); raises BadInput for what is not of that form."""
    pairs = []
    for entry in entries:
        name, equals, value = entry.partition('=')
        if not (name.strip() and equals and value):
            allowed = f'TRACK={what.upper()},...'
            raise BadInput(f'{flag}={entry}: no track or no {what}; allowed is {allowed}')
        (name,) = parse_tracks(flag, [name], tracks)
        pairs.append((name, value))
    return pairs


def _number(entry: str, value: str, allowed: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise BadInput(f'{entry}: {value!r} is no number; allowed is {allowed}')
    return number
