"""Which track each part of a score plays, by rule.

1. drums: the percussion channel.
2. bass: the General MIDI bass programs; without any, the lowest part that is mostly one note at a
   time and has its median pitch below 50 (D3).
3. melody: of the rest the part with the best lead score (one note at a time, an instrument that
   often leads, high, present, varied), together with parts that double it.
4. instrument: everything else.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from data_pipeline.sources.general_midi import PROGRAMS
from data_pipeline.sources.midi import DRUM_CHANNEL, Note, Part, coverage

BASS_PROGRAMS = range(32, 40)
EFFECT_PROGRAMS = range(112, 128)
BASS_BELOW_PITCH = 50
MIN_NOTES = 16

# How readily an instrument takes the lead, by program.
LEAD_FAMILIES: tuple[tuple[Sequence[int], float], ...] = (
    (range(80, 88), 1.0),  # Synth leads.
    (range(56, 80), 0.8),  # Brass, reeds, pipes.
    ((22, 23, 40, 41, 42, 52, 53, 54, 104, 105, 106, 110, 111), 0.6),
    (range(24, 32), 0.5),  # Guitars.
    (range(8), 0.2),  # Pianos.
)
LEAD_SCORE = 1.3
LONE_LEAD_SCORE = 2.0  # A single part left is the accompaniment, unless it is plainly a lead.
DOUBLING = 0.7


def assign_roles(notes: Mapping[Part, Sequence[Note]], duration_s: float) -> dict[Part, str]:
    """Gives every part one of 'bass', 'drums', 'instrument', 'melody'."""
    roles: dict[Part, str] = {}
    candidates: list[Part] = []
    for part in notes:
        channel, program = part
        if channel == DRUM_CHANNEL:
            roles[part] = 'drums'
        elif program in BASS_PROGRAMS:
            roles[part] = 'bass'
        else:
            roles[part] = 'instrument'
            if program not in EFFECT_PROGRAMS:
                candidates.append(part)
    if 'bass' not in roles.values():
        low = [part for part in candidates if _is_bass_line(notes[part])]
        if low:
            bass = min(low, key=lambda part: _median_pitch(notes[part]))
            roles[bass] = 'bass'
            candidates.remove(bass)
    if candidates:
        scores = {part: lead_score(part, notes[part], duration_s) for part in candidates}
        lead = max(candidates, key=lambda part: scores[part])
        if scores[lead] > (LEAD_SCORE if len(candidates) > 1 else LONE_LEAD_SCORE):
            roles[lead] = 'melody'
            for part in candidates:
                if part != lead and doubles(notes[part], notes[lead]):
                    roles[part] = 'melody'
    return roles


def lead_score(part: Part, notes: Sequence[Note], duration_s: float) -> float:
    """How much a part looks like the lead; -inf for one with hardly any notes."""
    if len(notes) < MIN_NOTES:
        return float('-inf')
    sounding = sum(note.end_s - note.start_s for note in notes) / duration_s
    variety = len({note.pitch for note in notes}) / 8
    return (
        1.2 * monophony(notes)
        + lead_weight(part[1])
        + 0.02 * (_median_pitch(notes) - 60)
        + 0.8 * min(1.0, 2 * sounding)
        + 0.3 * min(1.0, variety)
    )


def lead_weight(program: int) -> float:
    """How readily an instrument takes the lead, by General MIDI program; in [0, 1]."""
    return next((weight for family, weight in LEAD_FAMILIES if program in family), 0.0)


def monophony(notes: Sequence[Note]) -> float:
    """The fraction of notes that end before the next begins, up to 30 ms of legato; in [0, 1]."""
    if len(notes) < 2:
        return 1.0
    ordered = sorted(notes, key=lambda note: (note.start_s, note.end_s))
    overlaps = sum(b.start_s < a.end_s - 0.03 for a, b in itertools.pairwise(ordered))
    return 1.0 - overlaps / (len(ordered) - 1)


def doubles(notes: Sequence[Note], lead: Sequence[Note]) -> bool:
    """Whether most notes begin with a lead's note of the same pitch class, within 0.1 s."""
    struck = {(round(note.start_s, 1), note.pitch % 12) for note in notes}
    led = {(round(note.start_s, 1), note.pitch % 12) for note in lead}
    return len(struck) >= MIN_NOTES and len(struck & led) > DOUBLING * len(struck)


def instruments(
    notes: Mapping[Part, Sequence[Note]], roles: Mapping[Part, str]
) -> dict[str, list[str]]:
    """The instruments of each track, the one that sounds longest first, sound effects last."""
    effects = {PROGRAMS[program] for program in EFFECT_PROGRAMS}
    sounding: dict[str, dict[str, float]] = {}
    for part, role in roles.items():
        name = 'drums' if part[0] == DRUM_CHANNEL else PROGRAMS[part[1]]
        track = sounding.setdefault(role, {})
        track[name] = track.get(name, 0.0) + sum(n.end_s - n.start_s for n in notes[part])
    return {
        role: sorted(names, key=lambda name: (name in effects, -names[name], name))
        for role, names in sorted(sounding.items())
    }


def role_coverage(
    notes: Mapping[Part, Sequence[Note]], roles: Mapping[Part, str], duration_s: float
) -> dict[str, float]:
    """The fraction of a song's seconds in which each role plays; only roles that have a part."""
    return {
        role: coverage(
            (n for part in notes if roles[part] == role for n in notes[part]), duration_s
        )
        for role in sorted(set(roles.values()))
    }


def _is_bass_line(notes: Sequence[Note]) -> bool:
    low = _median_pitch(notes) < BASS_BELOW_PITCH
    return len(notes) >= MIN_NOTES and low and monophony(notes) > 0.7


def _median_pitch(notes: Sequence[Note]) -> float:
    return float(np.median([note.pitch for note in notes]))
