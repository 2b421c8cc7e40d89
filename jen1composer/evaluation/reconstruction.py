"""How much of held-out sound survives the codec, beside what knows nothing of it.

Guesses at each sound's log-mel spectrogram, by their distance to it in dB:

    decoded      what comes back from the codec's own latents
    disturbed    the same, with Gaussian noise of a quarter of their deviation on the latents
    noise        what the decoder makes of white Gaussian latents
    mean         the mean spectrum of all the sounds, in every frame (told the answer's mean)

All are measured, and the mean is taken, over the frames in which the sounds are not silent. A codec
is of use where the first is far below the last two, and tolerates a generator's errors where the
second stays near the first. Beside them the signal-to-noise ratio of the decoded waveform, which
counts phase and so is low wherever the codec invents texture, and how much louder than the sounds
what is decoded is: the mean difference of level over the sounds above -60 dB, and its magnitude's.
"""

from collections.abc import Mapping

import numpy as np

from jen1composer.evaluation.log_mel import counted_frames, log_mel, log_mel_distance
from jen1composer.generation.soundness import SILENT_DB
from jen1composer.training.codec import Codec

DISTURBANCE = 0.25


def reconstruction_report(codec: Codec, sounds: np.ndarray, seed: int) -> Mapping[str, float]:
    """The table of the module docstring.

    Args:
        codec: trained.
        sounds: float32 `[crop, sample, 2]`.
        seed: of the noise.
    """
    latents = codec.encode(sounds[:, None])  # a track each
    decoded = codec.decode(latents)[:, 0, : sounds.shape[1]]
    noise = np.random.default_rng(seed).standard_normal(latents.shape).astype(np.float32)
    disturbed = codec.decode(latents + DISTURBANCE * noise)[:, 0, : sounds.shape[1]]
    guessed = codec.decode(noise)[:, 0, : sounds.shape[1]]
    truth = log_mel(sounds)
    mean = np.broadcast_to(truth[counted_frames(truth)].mean(axis=0), truth.shape)
    error = np.sum(np.square(sounds - decoded)) + 1e-12
    louder = level_difference(sounds, decoded)
    return {
        'log_mel_db_decoded': round(log_mel_distance(truth, log_mel(decoded)), 3),
        'log_mel_db_disturbed': round(log_mel_distance(truth, log_mel(disturbed)), 3),
        'log_mel_db_noise': round(log_mel_distance(truth, log_mel(guessed)), 3),
        'log_mel_db_mean': round(log_mel_distance(truth, mean), 3),
        'snr_db_decoded': round(float(10 * np.log10(np.sum(np.square(sounds)) / error)), 2),
        'louder_db_decoded': round(float(louder.mean()), 2),
        'level_error_db_decoded': round(float(np.abs(louder).mean()), 2),
    }


def level_difference(sounds: np.ndarray, decoded: np.ndarray) -> np.ndarray:
    """dB by which each `[crop, sample, 2]` is louder decoded: of those above -60 dB, or one 0."""
    levels = [10 * np.log10(np.square(x).mean(axis=(1, 2)) + 1e-12) for x in (sounds, decoded)]
    heard = levels[0] > SILENT_DB
    return (levels[1] - levels[0])[heard] if heard.any() else np.zeros(1)
