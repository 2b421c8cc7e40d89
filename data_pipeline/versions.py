"""Versions of a song at other pitches and speeds, made once: augmentation that keeps stems aligned.

1. `speed` s is varispeed: all stems are resampled by the same ratio, as a tape that runs faster. It
   is one linear operation, so the mix stays the sum of the stems to rounding, and sample n moves to
   n / s in each of them. Pitch moves along, by 12 log2 s semitones, drums too. The length becomes
   round(N / s), the tempo s times what it was.
2. `semitones` p is pitch at constant tempo: a stem is made 2^(p/12) times longer by a phase
   vocoder, the same for all stems, and played that much faster. Drums have no pitch to move and are
   left out: a kick a third up is another drum. The mix is, by definition, the sum of the stems.
3. Both at once are one stretch and one resampling. The key moves by p + 12 log2 s semitones; where
   that is more than a quarter of a semitone away from a whole number, the song lies between two
   keys; then neither its key nor its chords are told.
4. Were a stem or the sum to pass full scale, one gain brings all of them back (`headroom`).

The plain version is the identity, bit for bit.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_pipeline.headroom import within_full_scale
from data_pipeline.phase_vocoder import stretch
from jen1composer.errors import BadInput, require
from jen1composer.harmony import ChordChange, transposed_chord, transposed_key
from jen1composer.tracks import SAMPLE_RATE as RATE

UNPITCHED = ('drums',)
MAX_SEMITONES = 6.0
SPEEDS = (0.5, 2.0)
KEY_TOLERANCE = 0.25  # semitones


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a song; the plain one by default.

    Attributes:
        semitones: by how much the pitch is raised, at constant tempo.
        speed: by how much it is played faster, pitch and all.

    Raises BadInput for a value out of range.
    """

    semitones: float = 0.0
    speed: float = 1.0

    def __post_init__(self) -> None:
        allowed = f'is -{MAX_SEMITONES:g} to {MAX_SEMITONES:g}'
        require(abs(self.semitones) <= MAX_SEMITONES, 'semitones', self.semitones, allowed)
        allowed = 'is {:g} to {:g}'.format(*SPEEDS)
        require(SPEEDS[0] <= self.speed <= SPEEDS[1], 'speed', self.speed, allowed)

    @property
    def name(self) -> str:
        """Such as 'p+2', 's0.9' or 'p-1_s1.1', part of a file's name; '' for the plain version."""
        pitch = f'p{self.semitones:+g}' if self.semitones else ''
        speed = f's{self.speed:g}' if self.speed != 1 else ''
        return '_'.join(filter(None, (pitch, speed)))

    @property
    def transposition(self) -> float:
        """By how many semitones the pitch of all but drums moves, whatever moves it."""
        return self.semitones + 12 * math.log2(self.speed)


def versions_of(pairs: Iterable[Sequence[float]]) -> tuple[Version, ...]:
    """((2, 1.0), (0, 0.9)) as versions: semitones and speed of each.

    Raises BadInput for a pair that is none, or the plain version, or is named twice.
    """
    versions: list[Version] = []
    for pair in pairs:
        ok = isinstance(pair, list | tuple) and [isinstance(v, int | float) for v in pair]
        require(ok == [True, True], 'versions', pair, 'are pairs (semitones, speed)')
        try:
            version = Version(semitones=float(pair[0]), speed=float(pair[1]))
        except (BadInput, OverflowError) as error:
            raise BadInput(f'versions: {pair!r}: {error}') from error
        require(version.name != '', 'versions', pair, 'are those that differ from the song')
        if version.name in [other.name for other in versions]:
            raise BadInput(f'versions: {pair!r} is named twice; allowed is once')
        versions.append(version)
    return tuple(versions)


def make_version(stems: np.ndarray, version: Version, tracks: Sequence[str]) -> np.ndarray:
    """The stems at another pitch or speed.

    Args:
        stems: float32 `[track, sample, 2]` at 48 kHz, in the order of `tracks`.
        version: which one.
        tracks: their names; those in UNPITCHED keep their pitch but for what the speed does to it.

    Returns:
        float32 `[track, round(sample / speed), 2]`, and no sample of a stem or of their sum outside
        [-1, 1]; the same array for the plain version.
    """
    if not version.name:
        return stems
    length = round(stems.shape[1] / version.speed)
    made = np.zeros((len(stems), length, 2), np.float32)
    for track, stem, out in zip(tracks, stems, made, strict=True):
        longer = 1.0
        if track not in UNPITCHED and version.semitones and stem.any():
            longer = 2 ** (version.semitones / 12)
            stem = stretch(stem, longer)
        played = _faster(stem, longer * version.speed)[:length]
        out[: len(played)] = played
    return within_full_scale(made)


def version_tags(tags: Mapping[str, Any], version: Version) -> dict[str, Any]:
    """The tags of a version: its tempo and key; a key that is none any more is left out."""
    moved = dict(tags)
    if isinstance(tags.get('bpm'), int | float):
        moved['bpm'] = round(tags['bpm'] * version.speed, 1)
    if tags.get('key') and version.name:
        steps = whole_semitones(version)
        key = None if steps is None else transposed_key(str(tags['key']), steps)
        moved.pop('key')
        moved |= {} if key is None else {'key': key}
    return moved


def version_beats(beats_s: Iterable[float], version: Version) -> tuple[float, ...]:
    """When each beat falls in a version, in seconds."""
    return tuple(beat / version.speed for beat in beats_s)


def version_chords(chords: Iterable[ChordChange], version: Version) -> tuple[ChordChange, ...]:
    """Where chords change in a version, and to which; () where it lies between two keys."""
    steps = whole_semitones(version)
    if steps is None:
        return ()
    return tuple((begin / version.speed, transposed_chord(name, steps)) for begin, name in chords)


def whole_semitones(version: Version) -> int | None:
    """By how much keys and chords move; None where that is between two of them."""
    steps = round(version.transposition)
    return steps if abs(version.transposition - steps) <= KEY_TOLERANCE else None


def _faster(audio: np.ndarray, ratio: float) -> np.ndarray:
    """Float32 `[sample, 2]` played `ratio` times faster, by band-limited interpolation."""
    import soxr

    if ratio == 1 or not len(audio):
        return audio
    return soxr.resample(audio, RATE * ratio, RATE, quality='VHQ')
