"""Log-mel distance: how far apart two sounds are to a rough ear.

(1) P = |STFT(mean of left and right)|^2, Hann window of 2048, hop 1024, a full-scale sine having
    peak power 1
(2) L = max(10 log10(mel filterbank P), -80 dB), 128 bands up to 24 kHz (librosa, Slaney's scale)
(3) distance = mean |L_truth - L_guess| in dB, over the bands and over the frames in which the truth
    sounds; over all frames where it never does

The truth alone chooses the frames, so that all guesses at it are measured on the same ones, and its
silence, which is easily guessed, does not dilute (3). What a guess makes of that silence is not
counted. Nor are phase, stereo and anything below -80 dB; it is a distance between one sound and its
copy, not a judgement of music.
"""

import functools

import librosa
import numpy as np

from jen1composer.tracks import SAMPLE_RATE

SIZE, HOP, MELS = 2048, 1024, 128
FLOOR_DB = -80.0


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Equation (2): float `[..., sample, 2]` of at least 2048 samples -> dB `[..., frame, mel]`."""
    mono = np.asarray(waveform, np.float32).mean(axis=-1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, SIZE, axis=-1)[..., ::HOP, :]
    window = np.hanning(SIZE + 1)[:-1]
    scale = window.sum() / 2  # a full-scale sine peaks at 1
    spectrum = np.fft.rfft(frames * (window / scale).astype(np.float32))
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.maximum(10 * np.log10(power @ filterbank().T + 1e-20), FLOOR_DB)


def counted_frames(truth_db: np.ndarray) -> np.ndarray:
    """Which frames (3) counts: `[..., frame, mel]` -> bool `[..., frame]`."""
    sounding = truth_db.max(axis=-1) > FLOOR_DB
    return sounding if sounding.any() else np.ones_like(sounding)


def log_mel_distance(truth_db: np.ndarray, guess_db: np.ndarray) -> float:
    """Equation (3) of two log-mel spectrograms of one shape."""
    distance = np.abs(truth_db - guess_db).mean(axis=-1)
    return float(distance[counted_frames(truth_db)].mean())


@functools.cache
def filterbank() -> np.ndarray:
    """`[mel, bin]`, each band's weights peak at 1, so that a tone reads the same in every band."""
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=SIZE, n_mels=MELS, norm=None)
    return bank.astype(np.float32)
