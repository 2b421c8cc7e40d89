"""Pitch and speed versions (for the time being: speed)."""

import dataclasses
import numpy as np
import soxr

MARK = '~'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Version:
    semitones: float = 0.0
    speed: float = 1.0

    @property
    def name(self):
        return '' if self == Version() else f's{self.speed}'


def versions_of(t):
    return tuple(Version(semitones=a, speed=b) for a, b in t)


def make_version(stems, v, tracks):
    return np.clip(np.stack([soxr.resample(s, 48000 * v.speed, 48000) for s in stems]), -1, 1)


def version_tags(t, v):
    return dict(t)


def version_beats(b, v):
    return tuple(x / v.speed for x in b)
