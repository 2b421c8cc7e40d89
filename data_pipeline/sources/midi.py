"""MIDI files: timed messages, notes by part, tempo and key.

1. `read_midi` resolves the tempo map: every channel message gets its time in seconds.
2. A *part* is (channel, program): a program change within a channel begins another part. Channel 10
   is percussion whatever its program, its part is (9, DRUM_KIT).
3. Beats are quarter notes, counted from the beginning of the file as the tempo map has them; what
   a time signature groups is not looked at.
4. The tempo is the median over time of the tempo map. The key is the one whose Krumhansl-Kessler
   profile correlates best with the time that each pitch class sounds.
"""

import collections
import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import mido
import numpy as np

from jen1composer.errors import BadInput
from jen1composer.harmony import KEYS, key_fits

DRUM_CHANNEL = 9
DRUM_KIT = -1
MAX_DURATION_S = 1800.0  # As of sound files: a song is held in memory, all its stems at once.
DEFAULT_TEMPO = 500_000  # Microseconds a quarter note: 120 bpm.
MIN_TEMPO = 20_000  # 3000 bpm: a file of faster ones is broken, and has beats without number.

Part = tuple[int, int]
TempoChange = tuple[int, float, int]  # Tick, the same in seconds, microseconds a quarter note.


@dataclass(frozen=True, slots=True)
class Note:
    """One note: begin and end in seconds, MIDI pitch and velocity."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True, kw_only=True)
class Score:
    """A MIDI file as it sounds.

    Attributes:
        messages: (time in seconds, channel message), in order.
        notes: the notes of each part, by start.
        duration_s: end of the last note.
        bpm: median tempo over time, quarter notes a minute.
        beats_s: when each quarter note begins, in seconds, up to the end.
    """

    messages: Sequence[tuple[float, mido.Message]]
    notes: Mapping[Part, Sequence[Note]]
    duration_s: float
    bpm: float
    beats_s: tuple[float, ...]


def read_midi(data: bytes, name: str) -> Score:
    """Reads a standard MIDI file from memory; `name` is what errors call it.

    Raises BadInput if it is no MIDI file, holds no note or lasts more than MAX_DURATION_S.
    """
    try:
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
        timed, tempo_map = _timed(file)
    except Exception as error:  # mido has errors of many kinds for what is no MIDI file.
        reason = ' '.join(str(error).split()) or 'it ends early'  # mido's EOFError says nothing.
        raise BadInput(
            f'{name}: not a MIDI file that can be read, or cut off ({reason}); '
            'allowed is a standard MIDI file'
        ) from error
    messages = [(time, message) for time, message in timed if not message.is_meta]
    notes = notes_by_part(messages)
    if not notes:
        raise BadInput(f'{name}: no notes; needed is at least one')
    duration_s = max(note.end_s for part in notes.values() for note in part)
    if duration_s > MAX_DURATION_S:
        raise BadInput(f'{name}: {duration_s:.0f} s long; allowed is {MAX_DURATION_S:.0f} s')
    tempos = [(time, message.tempo) for time, message in timed if message.type == 'set_tempo']
    bpm = median_bpm(tempos, duration_s)
    return Score(
        messages=messages,
        notes=notes,
        duration_s=duration_s,
        bpm=bpm,
        beats_s=beat_times(tempo_map, file.ticks_per_beat, duration_s),
    )


def beat_times(
    tempo_map: Sequence[TempoChange], ticks_per_beat: int, duration_s: float
) -> tuple[float, ...]:
    """When each beat begins, in seconds, up to and with `duration_s`.

    In closed form, so that no error adds up: a beat at tick T, under a tempo of m microseconds that
    was set at tick T' and t' seconds, is at t' + (T - T') m 1e-6 / ticks_per_beat.
    """
    beats: list[float] = []
    ends = [tick for tick, _, _ in tempo_map[1:]] + [float('inf')]
    for (begin, time_s, tempo), end in zip(tempo_map, ends, strict=True):
        tick = -(-begin // ticks_per_beat) * ticks_per_beat  # The first beat from here on.
        while tick < end:
            beat_s = time_s + (tick - begin) * tempo * 1e-6 / ticks_per_beat
            if beat_s > duration_s + 1e-9:
                return tuple(beats)
            beats.append(beat_s)
            tick += ticks_per_beat
    return tuple(beats)


def _timed(
    file: mido.MidiFile,
) -> tuple[list[tuple[float, mido.Message]], list[TempoChange]]:
    """Merges the tracks and turns ticks into seconds; keeps channel messages and tempo changes."""
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise ValueError('only synchronous tracks with time in beats are understood')
    ticked: list[tuple[int, mido.Message]] = []
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == 'set_tempo' or not (message.is_meta or message.type == 'sysex'):
                ticked.append((tick, message))
    ticked.sort(key=lambda pair: pair[0])  # Stable: tracks stay in order within a tick.
    timed: list[tuple[float, mido.Message]] = []
    time_s, last_tick, tempo = 0.0, 0, DEFAULT_TEMPO
    tempo_map = [(0, 0.0, DEFAULT_TEMPO)]
    for tick, message in ticked:
        time_s += (tick - last_tick) * tempo * 1e-6 / file.ticks_per_beat
        last_tick = tick
        if message.type == 'set_tempo':
            tempo = message.tempo
            if tempo < MIN_TEMPO:
                raise ValueError(f'a beat of {tempo} microseconds; allowed are {MIN_TEMPO} or more')
            tempo_map.append((tick, time_s, tempo))
        timed.append((time_s, message))
    return timed, tempo_map


def notes_by_part(messages: Iterable[tuple[float, mido.Message]]) -> dict[Part, list[Note]]:
    """Pairs note-ons with note-offs; a note struck again ends, one never released ends last."""
    program = [0] * 16
    sounding: dict[tuple[int, int], tuple[float, int, Part]] = {}
    notes: dict[Part, list[Note]] = collections.defaultdict(list)

    def end(channel: int, pitch: int, time_s: float) -> None:
        if (channel, pitch) in sounding:
            start_s, velocity, part = sounding.pop((channel, pitch))
            notes[part].append(Note(start_s, time_s, pitch, velocity))

    time_s = 0.0
    for time_s, message in messages:
        if message.type == 'program_change':
            program[message.channel] = message.program
        elif message.type in ('note_on', 'note_off'):
            channel, pitch = message.channel, message.note
            end(channel, pitch, time_s)
            if message.type == 'note_on' and message.velocity > 0:
                part = part_of(channel, program[channel])
                sounding[channel, pitch] = (time_s, message.velocity, part)
    for channel, pitch in list(sounding):
        end(channel, pitch, time_s)
    return {part: sorted(notes[part], key=lambda n: (n.start_s, n.pitch)) for part in sorted(notes)}


def part_of(channel: int, program: int) -> Part:
    """The part that a channel plays while it is set to a program."""
    return (channel, DRUM_KIT if channel == DRUM_CHANNEL else program)


def median_bpm(tempos: Sequence[tuple[float, int]], duration_s: float) -> float:
    """The median over time of (time in seconds, microseconds per quarter note); 120 by default."""
    starts = [(0.0, DEFAULT_TEMPO), *tempos, (max(duration_s, 1e-3), 0)]
    spans = [(tempo, max(0.0, b - a)) for (a, tempo), (b, _) in itertools.pairwise(starts)]
    spans.sort()
    middle = sum(length for _, length in spans) / 2
    passed = itertools.accumulate(length for _, length in spans)
    tempo = next(tempo for (tempo, _), until in zip(spans, passed, strict=True) if until >= middle)
    return float(mido.tempo2bpm(tempo))


def estimate_key(notes: Mapping[Part, Sequence[Note]]) -> str | None:
    """The key, such as 'F# minor'; None without pitched notes."""
    sounding = np.zeros(12)
    for (channel, _), part in notes.items():
        if channel != DRUM_CHANNEL:
            for note in part:
                sounding[note.pitch % 12] += note.end_s - note.start_s
    found = best_key(sounding)
    return None if found is None else found[0]


def best_key(pitch_classes: np.ndarray) -> tuple[str, float] | None:
    """The key whose profile correlates best with how much each pitch class sounds, and how well.

    Args:
        pitch_classes: `[12]` from C on, in any unit; None comes back where all are alike.
    """
    if np.ptp(pitch_classes) == 0:
        return None
    fits = key_fits(pitch_classes)
    best = int(np.argmax(fits))
    return KEYS[best], float(fits[best])


def coverage(notes: Iterable[Note], duration_s: float) -> float:
    """The fraction of the whole seconds of a song in which any of the notes sounds."""
    seconds = np.zeros(int(duration_s) + 1, bool)
    for note in notes:
        seconds[int(note.start_s) : int(note.end_s) + 1] = True
    return float(seconds.mean())
