"""Log-mel distance: how far apart two sounds are to a rough ear.

(1) P = |STFT(mean of left and right)|^2, Hann window of 2048, hop 1024, a full-scale sine having
    peak power 1
(2) L = max(10 log10(mel filterbank P), -80 dB), 128 bands up to 24 kHz (librosa, Slaney's scale)
(3) distance = mean |L_a - L_b| in dB, over the bands and over the frames in which either sounds

Frames in which both are silent would only dilute (3). It ignores phase, stereo and anything below
-80 dB; it is a distance between one sound and its copy, not a judgement of music.
"""

import functools

import librosa
import numpy as np

SAMPLE_RATE = 48_000
SIZE, HOP, MELS = 2048, 1024, 128
SILENCE_DB = -80.0


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Equation (2): float `[..., sample, 2]` of at least 2048 samples -> dB `[..., frame, mel]`."""
    mono = np.asarray(waveform, np.float32).mean(axis=-1)
    frames = np.lib.stride_tricks.sliding_window_view(mono, SIZE, axis=-1)[..., ::HOP, :]
    window = np.hanning(SIZE + 1)[:-1]
    scale = window.sum() / 2  # a full-scale sine peaks at 1
    spectrum = np.fft.rfft(frames * (window / scale).astype(np.float32))
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return np.maximum(10 * np.log10(power @ filterbank().T + 1e-20), SILENCE_DB)


def log_mel_distance(a_db: np.ndarray, b_db: np.ndarray) -> float:
    """Equation (3) of two log-mel spectrograms of one shape; 0 where both are silent throughout."""
    sounding = np.maximum(a_db, b_db).max(axis=-1) > SILENCE_DB
    if not sounding.any():
        return 0.0
    return float(np.abs(a_db - b_db).mean(axis=-1)[sounding].mean())


@functools.cache
def filterbank() -> np.ndarray:
    """`[mel, bin]`, each band's weights peak at 1, so that a tone reads the same in every band."""
    bank = librosa.filters.mel(sr=SAMPLE_RATE, n_fft=SIZE, n_mels=MELS, norm=None)
    return bank.astype(np.float32)
