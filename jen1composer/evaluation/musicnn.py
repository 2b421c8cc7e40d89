"""musicnn as an ear that comes in a package: embeddings for the Fréchet distance, and 50 tags.

Of a sound at 48 kHz,

(1) x = (left + right) / 2, resampled to 16 kHz
(2) P = |STFT x|^2: a Hann window of 512 every 256 samples, with 256 zeros before and behind
(3) L = log10(1 + 10^4 M P), M: 96 bands of Slaney's mel scale up to 8 kHz, area 1
(4) patches of 187 frames (3 s), n = 1 + ceil((N - 187) / 94) of N frames; the k-th begins at frame
    round(k (N - 187) / (n - 1)), so that they overlap by half or more and all of the sound is heard
(5) each patch through `models.musicnn`

A sound of fewer than 187 frames is repeated until it fills a patch. One of 5.12 s has 321 frames:
three patches, from 0, 67 and 134. The level counts: a sound 20 dB softer has another embedding. So
does silence have one, and the same for all. Nothing above 8 kHz is heard, nor stereo.

The published extractor rounds P to float16 before (3), where a tone above about -19 dB full scale
is infinite, and gives the first patch's embedding for every patch; here all is float32 and each
patch has its own.

There are two sets of weights: 'MSD', trained on 200 thousand tracks with tags of genre, mood and
decade, is the ear; 'MTT', trained on 19 thousand clips, has tags of instruments. Their files are
read from the installed package without importing it (it would import TensorFlow), and pinned.
Source: Pons and Serra 2019, arXiv 1909.06654; package musicnn 0.1.0, ISC licence.
"""

import dataclasses
import functools
import hashlib
import importlib.util
from typing import Any

import jax
import librosa
import numpy as np
import soxr
from etils import epath

from jen1composer.errors import BadInput, require
from jen1composer.evaluation import windows
from jen1composer.evaluation.tensorflow_checkpoint import read_checkpoint
from jen1composer.models.musicnn import BANDS, WIDTH, Heard, musicnn, params_from_tensorflow
from jen1composer.tracks import SAMPLE_RATE

PACKAGE = 'musicnn'
RATE, TRANSFORM, STEP = 16000, 512, 256  # of equation (2)
PATCH, HOP = 187, 94  # frames, of equation (4)
INDEX, DATA = '.index', '.data-00000-of-00001'
SHA256 = {
    'MSD': {
        INDEX: '87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8',
        DATA: '8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6',
    },
    'MTT': {
        INDEX: 'da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57',
        DATA: '041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab',
    },
}
_MSD_TAGS = (
    'rock,pop,alternative,indie,electronic,female vocalists,dance,00s,alternative rock,jazz,'
    'beautiful,metal,chillout,male vocalists,classic rock,soul,indie rock,Mellow,electronica,'
    '80s,folk,90s,chill,instrumental,punk,oldies,blues,hard rock,ambient,acoustic,experimental,'
    'female vocalist,guitar,Hip-Hop,70s,party,country,easy listening,sexy,catchy,funk,electro,'
    'heavy metal,Progressive rock,60s,rnb,indie pop,sad,House,happy'
)
_MTT_TAGS = (
    'guitar,classical,slow,techno,strings,drums,electronic,rock,fast,piano,ambient,beat,violin,'
    'vocal,synth,female,indian,opera,male,singing,vocals,no vocals,harpsichord,loud,quiet,'
    'flute,woman,male vocal,no vocal,pop,soft,sitar,solo,man,classic,choir,voice,new age,dance,'
    'male voice,female vocal,beats,harp,cello,no voice,weird,country,metal,female voice,choral'
)
TAGS = {'MSD': tuple(_MSD_TAGS.split(',')), 'MTT': tuple(_MTT_TAGS.split(','))}
_PATCHES = 4  # at a time, always: one program, whatever comes; an excerpt has three


@dataclasses.dataclass(frozen=True, kw_only=True)
class Musicnn:
    """An `Embedder` that also tags; made by `load_musicnn`."""

    params: Any
    tags: tuple[str, ...]  # what the probabilities are of
    fingerprint: str  # SHA-256 of the weights' file, in hexadecimal
    name: str = 'musicnn'

    def embed(self, audio: np.ndarray) -> np.ndarray:
        """The embeddings of a sound's patches.

        Args:
          audio: `[sample, 2]` float32 at 48 kHz.

        Returns:
          `[window, 200]` float32, a window of 3 s every 1.5 s or less.

        Raises:
          BadInput: another shape, no samples, or a sample that is not finite.
        """
        return self.hear(audio)[0]

    def hear(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The embeddings as of `embed`, and the probability of each tag, `[window, tag]`."""
        sound = soxr.resample(windows.mono(audio), SAMPLE_RATE, RATE, 'VHQ')
        return self.hear_patches(log_mel_patches(sound))

    def hear_patches(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Equation (5): `[window, 187, 96]` -> `[window, 200]` and `[window, tag]`, float32."""
        embeddings = np.zeros((len(patches), WIDTH), np.float32)
        logits = np.zeros((len(patches), len(self.tags)), np.float32)
        for start in range(0, len(patches), _PATCHES):
            batch = patches[start : start + _PATCHES]
            heard = _apply(self.params, np.pad(batch, ((0, _PATCHES - len(batch)), (0, 0), (0, 0))))
            embeddings[start : start + _PATCHES] = heard.embedding[: len(batch)]
            logits[start : start + _PATCHES] = heard.logits[: len(batch)]
        return embeddings, 1 / (1 + np.exp(-logits))


def load_musicnn(folder: epath.PathLike | None = None, weights: str = 'MSD') -> Musicnn:
    """The musicnn of an installed package, or of a folder.

    Args:
      folder: that holds MSD_musicnn and MTT_musicnn; of itself, the installed package.
      weights: 'MSD' or 'MTT'.

    Raises:
      BadInput: no such weights, the package is not installed, a file is missing or is another one.
    """
    require(weights in SHA256, 'musicnn: weights', weights, f'are {", ".join(SHA256)}')
    folder = epath.Path(folder) if folder is not None else package_folder()
    files = {}
    for name, expected in SHA256[weights].items():
        path = folder / f'{weights}_musicnn' / name
        if not path.exists():
            raise BadInput(f'musicnn: {path} is missing')
        files[name] = path.read_bytes()
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise BadInput(f'musicnn: {path} has SHA-256 {found}; allowed is {expected}')
    checkpoint = read_checkpoint(files[INDEX], files[DATA], f'musicnn: {weights}')
    return Musicnn(
        params=jax.device_put(params_from_tensorflow(checkpoint)),
        tags=TAGS[weights],
        fingerprint=SHA256[weights][DATA],
    )


def package_folder(package: str = PACKAGE) -> epath.Path:
    """Where an installed package lies, which is not imported; raises BadInput where it is not."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BadInput(
            f'embedder: {package} is not installed; `pip install --no-deps musicnn==0.1.0` does it'
        )
    return epath.Path(spec.submodule_search_locations[0])


def log_mel(sound: np.ndarray) -> np.ndarray:
    """Equations (2) and (3): `[sample]` at 16 kHz -> `[frame, 96]` float32."""
    padded = np.pad(np.asarray(sound, np.float32), TRANSFORM // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, TRANSFORM)[::STEP]
    spectrum = np.fft.rfft(frames * np.hanning(TRANSFORM + 1)[:-1].astype(np.float32))
    power = np.square(np.abs(spectrum)) @ filterbank()
    return np.log10(1e4 * power + 1).astype(np.float32)


@functools.cache
def filterbank() -> np.ndarray:
    """M of equation (3), `[bin, band]`."""
    return librosa.filters.mel(sr=RATE, n_fft=TRANSFORM, n_mels=BANDS).T


def log_mel_patches(sound: np.ndarray) -> np.ndarray:
    """Equations (2) to (4): `[sample]` at 16 kHz -> `[patch, 187, 96]` float32."""
    frames = log_mel(sound)
    if len(frames) < PATCH:
        frames = np.pad(frames, ((0, PATCH - len(frames)), (0, 0)), mode='wrap')
    left = len(frames) - PATCH
    starts = np.rint(np.linspace(0, left, 1 + -(-left // HOP))).astype(int)
    return np.stack([frames[start : start + PATCH] for start in starts])


@jax.jit
def _apply(params: Any, patches: jax.Array) -> Heard:
    with jax.default_matmul_precision('highest'):  # float32 on accelerators too
        return musicnn(params, patches)
