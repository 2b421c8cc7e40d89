"""Stems made of clicks and tones, whose rhythm and pitch are known."""

import numpy as np

from jen1composer.tracks import SAMPLE_RATE


def clicks(times_s, duration_s: float = 4.0, frequency_hz: float = 200.0) -> np.ndarray:
    """Short decaying tones at `times_s`, float32 `[sample, 2]`."""
    audio = np.zeros(round(duration_s * SAMPLE_RATE))
    time_s = np.arange(SAMPLE_RATE // 10) / SAMPLE_RATE
    click = np.sin(2 * np.pi * frequency_hz * time_s) * np.exp(-time_s * 60)
    for begin in np.rint(np.asarray(times_s) * SAMPLE_RATE).astype(int):
        place = audio[begin : begin + len(click)]
        place += 0.5 * click[: len(place)]
    return both(audio)


def notes(pitches, note_s: float = 0.5, harmonics: int = 6) -> np.ndarray:
    """Tones of MIDI `pitches` one after another with overtones that fall, `[sample, 2]`."""
    time_s = np.arange(round(note_s * SAMPLE_RATE)) / SAMPLE_RATE
    fundamentals = 440 * 2 ** ((np.asarray(pitches, float) - 69) / 12)
    orders = np.arange(1, harmonics + 1)
    tones = np.sin(2 * np.pi * fundamentals[:, None, None] * orders[:, None] * time_s)
    return both(0.2 * (tones / orders[:, None] ** 2).sum(axis=1).ravel())


def noise(index: int, duration_s: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng((7, index))
    return rng.standard_normal((round(duration_s * SAMPLE_RATE), 2)).astype(np.float32) / 10


def both(mono: np.ndarray) -> np.ndarray:
    return np.repeat(mono.astype(np.float32)[:, None], 2, axis=1)
