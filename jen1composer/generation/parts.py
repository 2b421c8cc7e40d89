"""What there is of every track of a piece, and which of its samples are made.

(1) The holes of a track are the samples that are made: of an edit those to regenerate and those
    that its audio does not reach, of another target all of them, of the rest none.
(2) A frame is known where none of its samples lies in a hole.
(3) Past its ends, the audio of an edit is mirrored: that is what is heard in a fade there
    (`seams`), and what the encoder sees of its surroundings, so that the last known frames do not
    say that the sound stops.

A strength of 0 makes nothing; below 1 all that is made starts from what is there, which must reach
over all holes.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from jen1composer.errors import BadInput
from jen1composer.generation.request import Edit, Request
from jen1composer.tracks import SAMPLE_RATE, Role

Holes = tuple[tuple[int, int], ...]  # (start, end) in samples, rising, apart from each other


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One track of a piece of n samples, before anything is made."""

    role: Role
    audio: np.ndarray | None  # [n, 2], None where there is nothing of it
    holes: Holes

    def known_frames(self, num_frames: int, hop_samples: int) -> np.ndarray:
        """Equation (2), bool [frame]; past the end of the audio everything is as at its end."""
        is_made = np.zeros(num_frames * hop_samples, bool)
        for start, end in self.holes:
            reaches_end = self.audio is None or end == len(self.audio)
            is_made[start : None if reaches_end else end] = True
        return np.logical_not(is_made.reshape(num_frames, hop_samples).any(axis=1))


def make_parts(request: Request, tracks: Sequence[str]) -> tuple[Part, ...]:
    """The parts of the piece that `request` asks for, in the order of `tracks`.

    Raises BadInput, naming the track, where a part cannot be.
    """
    num_samples = round(request.seconds * SAMPLE_RATE)
    parts = []
    for name, role in zip(tracks, request.roles(tracks), strict=True):
        if role == Role.CONDITION:
            audio = _fit(request.given[name], num_samples, name)
            part = Part(role=role, audio=audio, holes=())
        elif role == Role.MARGINAL:
            part = Part(role=role, audio=None, holes=())
        elif name in request.edits:
            part = _edited(request.edits[name], num_samples, request.strength, name)
        else:
            part = Part(role=role, audio=None, holes=((0, num_samples),))
            if request.strength < 1:
                raise BadInput(
                    f'strength: {request.strength}; {name!r} has no sound to start from; allowed '
                    'is 1, or an edit of every target'
                )
        parts.append(part)
    return tuple(parts)


def _edited(edit: Edit, num_samples: int, strength: float, name: str) -> Part:
    first = min(round(edit.start_s * SAMPLE_RATE), num_samples - 1)
    last = min(first + len(edit.audio), num_samples)
    around = ((first, num_samples - last), (0, 0))
    audio = np.pad(edit.audio[: last - first], around, mode='symmetric')  # (3)

    missing = [(0, first), (last, num_samples)]
    asked = [
        (_sample(start_s, num_samples), _sample(end_s, num_samples))
        for start_s, end_s in edit.regenerate
    ]
    holes = _merged([*missing, *asked])
    if strength < 1 and _merged(missing):
        raise BadInput(
            f'strength: {strength}; the sound of {edit.called} {name!r} does not reach over the '
            f'whole piece, {num_samples / SAMPLE_RATE:.2f} s; allowed is 1, or a shorter piece'
        )
    if strength > 0 and not holes:
        raise BadInput(
            f'{edit.called} {name!r}: nothing of it is made; allowed are seconds to regenerate, a '
            'longer piece, or to have it given'
        )
    return Part(role=Role.TARGET, audio=audio, holes=holes if strength > 0 else ())


def _sample(seconds: float, num_samples: int) -> int:
    return num_samples if math.isinf(seconds) else min(round(seconds * SAMPLE_RATE), num_samples)


def _merged(spans: Sequence[tuple[int, int]]) -> Holes:
    """The union of `spans`, as stretches that do not touch."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _fit(audio: np.ndarray, num_samples: int, name: str) -> np.ndarray:
    """`audio` cut to `num_samples`; refuses what is shorter, naming the track."""
    if len(audio) < num_samples:
        raise BadInput(
            f'given {name!r}: {len(audio) / SAMPLE_RATE:.2f} s; allowed is the length of the '
            f'piece, {num_samples / SAMPLE_RATE:.2f} s, or longer'
        )
    return audio[:num_samples]
