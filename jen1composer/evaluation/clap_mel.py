"""What CLAP hears: log-mel spectrograms, as its published front end makes them of short sound.

Of a window of sound x at 48 kHz, mirrored over half a frame at both ends, with frames of n samples
every h samples under a periodic Hann window,

(1) P = |STFT x|^2
(2) L = 10 log10(max(M P, 1e-10))      M: mel bands of equal area (Slaney's scale), in float64

A sound shorter than the window is repeated as often as it fits whole, and the rest is silence. A
longer one is for `windows.cut`: the published front end would take one window of it at random.

Source: ClapFeatureExtractor of Hugging Face's transformers, `rand_trunc` and `repeatpad`. Its third
way, `fusion`, has other mel bands and another network, and is not written here.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import librosa
import numpy as np

from jen1composer.errors import require
from jen1composer.tracks import SAMPLE_RATE

FLOOR = 1e-10
ONLY = {  # what else a preprocessor_config.json may say, and all that it may
    'sampling_rate': SAMPLE_RATE,
    'truncation': 'rand_trunc',
    'padding': 'repeatpad',
    'top_db': None,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClapMel:
    """A front end, by the names of a `preprocessor_config.json`.

    Raises BadInput, naming the field, for sizes that cannot be.
    """

    feature_size: int = 64  # mel bands
    fft_window_size: int = 1024  # samples of a frame
    hop_length: int = 480
    frequency_min: float = 0.0  # Hz
    frequency_max: float = 14000.0
    max_length_s: int = 10  # seconds of a window

    def __post_init__(self) -> None:
        for name in ('feature_size', 'fft_window_size', 'hop_length', 'max_length_s'):
            size = getattr(self, name)
            require(isinstance(size, int) and size > 0, name, size, 'are whole numbers from 1')
        low, high = self.frequency_min, self.frequency_max
        ok = 0 <= low < high <= SAMPLE_RATE / 2
        require(ok, 'frequency_min, frequency_max', (low, high), 'rise from 0 to 24000')

    @property
    def samples(self) -> int:
        """The samples of a window."""
        return self.max_length_s * SAMPLE_RATE

    @property
    def frames(self) -> int:
        """The frames of a window."""
        return self.samples // self.hop_length + 1

    @functools.cached_property
    def bands(self) -> np.ndarray:
        """M of equation (2), `[mel, bin]`."""
        return librosa.filters.mel(
            sr=SAMPLE_RATE,
            n_fft=self.fft_window_size,
            n_mels=self.feature_size,
            fmin=self.frequency_min,
            fmax=self.frequency_max,
            dtype=np.float64,
        )

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """`[sample]` of a window or less -> `[frame, mel]` float32 dB."""
        size, half = self.fft_window_size, self.fft_window_size // 2
        x = np.pad(fill(sound, self.samples).astype(np.float64), half, mode='reflect')
        frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: self.hop_length]
        spectrum = np.fft.rfft(frames * np.hanning(size + 1)[:-1])
        power = np.square(spectrum.real) + np.square(spectrum.imag)  # (1)
        return (10 * np.log10(np.maximum(power @ self.bands.T, FLOOR))).astype(np.float32)  # (2)


def front_end_from_hugging_face(value: Mapping[str, Any]) -> ClapMel:
    """The front end that a `preprocessor_config.json` describes; raises BadInput for another."""
    for name, allowed in ONLY.items():
        said = value.get(name, None if name == 'top_db' else f'no {name}')
        require(said == allowed, name, said, f'is {allowed!r}')
    fields = dataclasses.fields(ClapMel)
    return ClapMel(**{field.name: value[field.name] for field in fields if field.name in value})


def fill(sound: np.ndarray, size: int) -> np.ndarray:
    """A sound of at most `size` samples, repeated as often as it fits, then silence."""
    repeated = np.tile(sound, size // len(sound))
    return np.pad(repeated, (0, size - len(repeated)))
