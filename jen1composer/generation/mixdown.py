"""The lanes of a session as one sound, and how loud that is.

With g_k the gain of lane k in dB and x_k what is heard of it at 48 kHz (an upload of another rate
resampled, one of another length cut or padded with silence),

(1) y = sum over the audible k of 10^(g_k / 20) x_k
(2) a lane is audible that is not muted, and solo where any lane is

To a target in LUFS, after ITU-R BS.1770-4: y is K-weighted, and its power gated and averaged is the
loudness L(y), so that

(3) z = 10^(a / 20) y,   a = target - L(y),   repeated, as a gate may open with the gain
(4) a is held back so that the true peak of z, of the fourfold oversampled sound, is at most
    TRUE_PEAK_DB: what is too lively for the target comes out softer, and is never cut off

What is silent is left as it is. The loudness of what is shorter than a block of 0.4 s is that of
one block of its length.
"""

import dataclasses
import math

import numpy as np
import pyloudnorm
import soxr

from jen1composer.errors import BadInput, require
from jen1composer.generation.session import Lane, Piece, Session
from jen1composer.generation.soundness import NOT_FINITE
from jen1composer.tracks import SAMPLE_RATE

TRUE_PEAK_DB = -1.0
MIN_LUFS, MAX_LUFS = -60.0, 0.0
BLOCK_S = 0.4
OVERSAMPLING = 4
LOUDEST = 1e6  # far beyond any sound; what is much larger overflows on the way
_CLOSE_LU = 0.005
_MOST_ROUNDS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Leveled:
    """Sound with one gain over all of it, and what came of that."""

    audio: np.ndarray  # [sample, 2] float32
    gain_db: float
    loudness_lufs: float | None  # None for silence
    true_peak_db: float | None
    held_back: bool  # by equation (4)


def mixdown(session: Session, loudness_lufs: float | None = None) -> np.ndarray:
    """The mix, float32 [sample, 2]: equation (1), or at a loudness (3).

    Raises BadInput where a lane is not finite, or for a loudness that is none.
    """
    mix = mixed(session.piece)
    return mix if loudness_lufs is None else to_loudness(mix, loudness_lufs).audio


def mixed(piece: Piece) -> np.ndarray:
    """Equation (1), float32 [sample, 2]; silence where no lane is audible.

    Raises BadInput where a lane is not finite, or the sum is beyond LOUDEST.
    """
    mix = np.zeros((piece.num_samples, 2), np.float32)
    for lane in audible(piece):
        with np.errstate(over='ignore', invalid='ignore'):
            mix += lane_sound(lane, piece)
    if mix.size and not max(mix.max(), -mix.min()) <= LOUDEST:  # also where it is not a number
        raise BadInput(f'mix: holds samples beyond {LOUDEST:g}; turn lanes down, or mute them')
    return mix


def audible(piece: Piece) -> tuple[Lane, ...]:
    """Equation (2), of the lanes with a take."""
    any_solo = any(lane.solo for lane in piece.lanes)
    return tuple(
        lane
        for lane in piece.lanes
        if lane.current and not lane.muted and (lane.solo or not any_solo)
    )


def lane_sound(lane: Lane, piece: Piece) -> np.ndarray:
    """A term of (1), float32 [sample, 2]: at 0 dB what is heard, sample for sample."""
    if lane.current is None:
        return np.zeros((piece.num_samples, 2), np.float32)
    if NOT_FINITE in lane.current.warnings:
        raise BadInput(f'mix: the take of {lane.track!r} is {NOT_FINITE}; mute it, or take another')
    heard = lane.current.heard(piece.start, piece.num_samples)
    return heard if lane.gain_db == 0 else heard * np.float32(10 ** (lane.gain_db / 20))


def to_loudness(audio: np.ndarray, target_lufs: float) -> Leveled:
    """`audio` [sample, 2] at a loudness, as far as its peaks allow; equations (3) and (4)."""
    allowed = f'are {MIN_LUFS:g} to {MAX_LUFS:g}'
    require(MIN_LUFS <= target_lufs <= MAX_LUFS, 'loudness_lufs', target_lufs, allowed)
    gain_db, found = 0.0, loudness(audio)
    for _ in range(_MOST_ROUNDS):
        if found is None or abs(target_lufs - found) < _CLOSE_LU:
            break
        gain_db += target_lufs - found
        found = loudness(audio * np.float32(10 ** (gain_db / 20)))
    peak_db = true_peak_db(audio)
    most_db = math.inf if peak_db is None else TRUE_PEAK_DB - peak_db
    held_back = found is not None and gain_db > most_db
    gain_db = min(gain_db, most_db) if found is not None else 0.0
    leveled = audio * np.float32(10 ** (gain_db / 20))
    return Leveled(
        audio=leveled,
        gain_db=gain_db,
        loudness_lufs=loudness(leveled) if held_back else found,
        true_peak_db=None if peak_db is None else peak_db + gain_db,
        held_back=held_back,
    )


def loudness(audio: np.ndarray) -> float | None:
    """Integrated loudness in LUFS of [sample, 2] at 48 kHz; None where all is below the gate."""
    block_s = min(BLOCK_S, len(audio) / SAMPLE_RATE)
    if not audio.any():
        return None
    meter = pyloudnorm.Meter(SAMPLE_RATE, block_size=block_s)
    lufs = meter.integrated_loudness(audio.astype(np.float64))
    return float(lufs) if math.isfinite(lufs) else None


def true_peak_db(audio: np.ndarray) -> float | None:
    """The largest magnitude between and at the samples, in dBTP; None for silence."""
    over = soxr.resample(audio, SAMPLE_RATE, OVERSAMPLING * SAMPLE_RATE, quality='HQ')
    largest = max(float(np.abs(audio).max()), float(np.abs(over).max(initial=0.0)))
    return 20 * math.log10(largest) if largest > 0 else None
