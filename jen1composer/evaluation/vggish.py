"""VGGish as an ear: what the Fréchet audio distance was first taken of.

Of a sound, mono, at 16 kHz: frames of 25 ms every 10 ms (with no padding), a periodic Hann window,
and a transform of 512 samples,

(1) A = |STFT x|                      the magnitude, not the power
(2) L = log(A M + 0.01)               M: 64 triangles in mel from 125 to 7500 Hz, height 1
(3) patches of 96 frames, .96 s, one after the other; what is left over is not heard

The triangles of (2) are straight over mel = 1127 log(1 + Hz / 700), and 0 on the bin of 0 Hz. A
sound too short for a patch is followed by silence up to one.

    FOLDER/model.safetensors    the weights by their names in harritaylor/torchvggish

of which the published file is a pickle, vggish-10086976.pth. Where PyTorch is installed,

    safetensors.torch.save_file(torch.load('vggish-10086976.pth'), 'model.safetensors')

writes it. Neither the whitening nor the quantisation that AudioSet stores embeddings with is
applied; a distance between Gaussians is not helped by the one, and spoilt by the other.
Sources: `models.vggish`; the front end is mel_features.py of tensorflow/models/research/audioset.
"""

import dataclasses
import functools
import hashlib
import os
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import soxr
from etils import epath
from flax import traverse_util

from jen1composer.errors import BadInput
from jen1composer.evaluation import windows
from jen1composer.models.vggish import (
    BANDS,
    FRAMES,
    WIDTH,
    VGGish,
    parameter_shapes,
    weight_names,
)
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training import hugging_face
from jen1composer.training.hugging_face import WEIGHTS

RATE, FRAME, HOP, TRANSFORM = 16000, 400, 160, 512
LOW, HIGH = 125.0, 7500.0  # Hz
OFFSET = 0.01
_PATCHES = 16  # at a time, always: one program, whatever comes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vggish:
    """An `Embedder` of sound; made by `load_vggish`."""

    params: Any
    fingerprint: str  # SHA-256 of the weights as float32, in hexadecimal
    name: str = 'vggish'

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """The embeddings of a sound's patches.

        Args:
          audio: `[sample, 2]` float32 at 48 kHz.

        Returns:
          `[window, 128]` float32, a window of .96 s.

        Raises:
          BadInput: another shape, no samples, or a sample that is not finite.
        """
        patches = log_mel_patches(soxr.resample(windows.mono(audio), SAMPLE_RATE, RATE, 'VHQ'))
        embedded = np.zeros((len(patches), WIDTH), np.float32)
        for start in range(0, len(patches), _PATCHES):
            batch = patches[start : start + _PATCHES]
            padded = np.pad(batch, ((0, _PATCHES - len(batch)), (0, 0), (0, 0)))
            embedded[start : start + _PATCHES] = _apply(self.params, padded)[: len(batch)]
        return embedded


def load_vggish(folder: epath.PathLike) -> Vggish:
    """The VGGish in `folder`; raises BadInput, naming the file and what is wrong with it."""
    folder = epath.Path(folder)
    pickle = next(iter(sorted(folder.glob('*.pth'))), None) if folder.is_dir() else None
    if pickle is not None and not (folder / WEIGHTS).exists():
        raise BadInput(
            f'{folder / WEIGHTS}: missing, and {pickle.name} is not read; where PyTorch is '
            f"installed, safetensors.torch.save_file(torch.load('{os.fspath(pickle)}'), "
            f"'{folder / WEIGHTS}') writes it"
        )
    shapes = {path: _shape_there(shape) for path, shape in parameter_shapes().items()}
    found = hugging_face.weight_files(folder)
    weights = hugging_face.read_weights(folder, found, weight_names(), shapes, 'VGGish')
    fingerprint, params = hashlib.sha256(), {}
    for path in sorted(weights):
        weight = weights[path]
        fingerprint.update(np.ascontiguousarray(weight))
        params[path] = jnp.asarray(weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T)
    return Vggish(
        params=traverse_util.unflatten_dict(params, sep='/'), fingerprint=fingerprint.hexdigest()
    )


def log_mel_patches(sound: np.ndarray) -> np.ndarray:
    """Equations (1) to (3): `[sample]` at 16 kHz -> `[patch, 96, 64]` float32."""
    least = FRAME + (FRAMES - 1) * HOP
    x = np.pad(sound.astype(np.float64), (0, max(0, least - len(sound))))
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(FRAME + 1)[:-1], TRANSFORM))  # (1)
    log_mel = np.log(magnitude @ mel_triangles() + OFFSET)  # (2)
    count = len(log_mel) // FRAMES
    return log_mel[: count * FRAMES].reshape(count, FRAMES, BANDS).astype(np.float32)  # (3)


@functools.cache
def mel_triangles() -> np.ndarray:
    """M of equation (2), `[bin, band]`."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127 * np.log(1 + np.asarray(hertz) / 700)

    corners = np.linspace(mel(LOW), mel(HIGH), BANDS + 2)
    bins = mel(np.linspace(0, RATE / 2, TRANSFORM // 2 + 1))[:, None]
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.maximum(0, np.minimum(rising, falling))  # 0 Hz lies below them all


def _shape_there(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in the file of a parameter of `shape`."""
    return (*shape[:1:-1], *shape[:2]) if len(shape) == 4 else shape[::-1]


@jax.jit
def _apply(params: Any, patches: jax.Array) -> jax.Array:
    with jax.default_matmul_precision('highest'):  # float32 on accelerators too
        return cast(jax.Array, VGGish().apply({'params': params}, patches))
