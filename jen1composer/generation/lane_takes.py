"""A take of a lane: sound, where in time it lies, and how it came to be. It never changes.

(1) Time is counted in samples of a time line that never moves: continuing a piece to the left lets
    the piece begin earlier, and moves no take. A take lies from `start` to `start + len(audio)`.
(2) Where a take does not reach, it is silent (`heard`).
(3) An uploaded sound is heard at 48 kHz, on two channels, from where the piece began; the uploaded
    samples themselves are kept beside it, whatever their rate, length and number of channels.
(4) The id is a hash of the sound and of all that is said about it: takes with the same id are the
    same, so a take is compared by its id, and may be shared by sessions and steps.
"""

import dataclasses
import functools
import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import soxr

from jen1composer.errors import BadInput
from jen1composer.generation.parts import Holes
from jen1composer.generation.soundness import peak, rms_db, warnings_of
from jen1composer.tracks import SAMPLE_RATE

RATES = (4_000, 384_000)
LOST = 'lost'


@dataclasses.dataclass(frozen=True, kw_only=True)
class About:
    """How a take came to be.

    Attributes:
        how: compose, regenerate, continue, vary or upload.
        asked: JSON of the action, see `actions`.
        start: sample of the time line where the take begins.
        holes: (start, end) in samples of the take, of what was made; the rest is as it was.
        words: what the text encoder was told, tempo and key with it.
        prompt: what the person wrote.
        seed: of the noise; None for an upload.
        source: id of the take that this one was made from.
        given: (track, id of the take) of what was listened to.
        trained_steps: of the training that the weights come from.
        name: of the uploaded file.
        rate: samples a second of the uploaded sound.
    """

    how: str
    asked: str = '{}'
    start: int = 0
    holes: Holes = ()
    words: str = ''
    prompt: str = ''
    seed: int | None = None
    source: str | None = None
    given: tuple[tuple[str, str], ...] = ()
    trained_steps: int | None = None
    name: str = ''
    rate: int = SAMPLE_RATE


@dataclasses.dataclass(frozen=True, kw_only=True)
class LaneTake:
    """Made by `made_take`, `uploaded_take` or by opening a session.

    Attributes:
        id: equation (4), 16 hexadecimal digits.
        about: how it came to be.
        audio: float32 [sample, 2] at 48 kHz, not to be written to.
        original: of an upload what came, [sample, channel] at `about.rate`; None else. It is the
            same array as `audio` where nothing had to be done to it.
        digests: SHA-256 of the files of `audio` and, where it is another array, of `original`.
        lost: whether its files are missing or damaged, so that `audio` stands in for it.
    """

    id: str
    about: About
    audio: np.ndarray = dataclasses.field(compare=False, repr=False)
    original: np.ndarray | None = dataclasses.field(compare=False, repr=False, default=None)
    digests: tuple[str, ...]
    lost: bool = dataclasses.field(compare=False, default=False)

    @functools.cached_property
    def rms_db(self) -> float | None:
        return rms_db(self.audio)

    @functools.cached_property
    def peak(self) -> float | None:
        return peak(self.audio)

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with what was made, or with what was uploaded; see `soundness`."""
        return (LOST,) if self.lost else warnings_of(self.audio, self.about.holes)

    @property
    def num_bytes(self) -> int:
        """Of all its sound, the upload beside it too."""
        beside = self.original if len(self.digests) > 1 else None
        return self.audio.nbytes + (0 if beside is None else beside.nbytes)

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE

    @property
    def sound(self) -> tuple[np.ndarray, int]:
        """The samples as they came or were made, [sample, channel], and their rate."""
        if self.original is None:
            return self.audio, SAMPLE_RATE
        return self.original, self.about.rate

    def heard(self, start: int, num_samples: int) -> np.ndarray:
        """Equation (2): float32 [num_samples, 2] from sample `start` of the time line on.

        Raises BadInput where the sound is lost.
        """
        if self.lost:
            raise BadInput(
                f'take: the sound of {self.id}.npy is missing or damaged; bring the file back, or '
                'select another take'
            )
        first, last = self.about.start - start, self.about.start - start + len(self.audio)
        if (first, last) == (0, num_samples):
            return self.audio
        result = np.zeros((num_samples, 2), np.float32)
        begin, end = max(first, 0), min(last, num_samples)
        if begin < end:
            result[begin:end] = self.audio[begin - first : end - first]
        return result


def made_take(audio: np.ndarray, about: About) -> LaneTake:
    """A take of what the composer made, [sample, 2] at 48 kHz."""
    return _take(np.asarray(audio, np.float32), None, about)


def uploaded_take(audio: np.ndarray, about: About) -> LaneTake:
    """Equation (3); `audio` is floating point [sample, channel] at `about.rate`.

    Raises BadInput for what is no sound.
    """
    name = f'upload {about.name!r}' if about.name else 'upload'
    if audio.ndim != 2 or audio.shape[1] not in (1, 2) or not len(audio):
        raise BadInput(f'{name}: shape {audio.shape}; allowed is [sample, 1] or [sample, 2]')
    if audio.dtype not in (np.float32, np.float64):
        raise BadInput(f'{name}: samples of {audio.dtype}; allowed are float32 and float64')
    if not np.isfinite(audio).all():
        raise BadInput(f'{name}: holds samples that are not finite numbers; give sound')
    if not RATES[0] <= about.rate <= RATES[1]:
        raise BadInput(
            f'{name}: {about.rate} samples a second; allowed are {RATES[0]} to {RATES[1]}'
        )
    with np.errstate(over='ignore'):
        heard = audio.astype(np.float32)
    if about.rate != SAMPLE_RATE:
        heard = soxr.resample(heard, about.rate, SAMPLE_RATE, quality='VHQ')
    if not len(heard):
        raise BadInput(f'{name}: {len(audio)} samples at {about.rate} a second are none at 48000')
    if not np.isfinite(heard).all():
        raise BadInput(f'{name}: holds samples beyond what float32 can hold; give sound')
    if heard.shape[1] == 1:
        heard = np.repeat(heard, 2, axis=1)
    as_it_came = heard.dtype == audio.dtype and np.array_equal(heard, audio)
    return _take(heard, None if as_it_came else audio, about)


def npy_bytes(audio: np.ndarray) -> bytes:
    """The file of an array: the same bytes for the same samples."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(audio), allow_pickle=False)
    return file.getvalue()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def take_id(about: About, digests: tuple[str, ...]) -> str:
    """Equation (4)."""
    said = json.dumps([dataclasses.asdict(about), digests], sort_keys=True)
    return digest(said.encode())[:16]


def about_from_json(value: Mapping[str, Any]) -> About:
    """What `dataclasses.asdict` makes of an `About`, back again."""
    return About(
        **{
            **value,
            'holes': tuple((int(start), int(end)) for start, end in value['holes']),
            'given': tuple((track, take) for track, take in value['given']),
        }
    )


def _take(heard: np.ndarray, original: np.ndarray | None, about: About) -> LaneTake:
    """A take with arrays of its own."""
    arrays = [array.copy() for array in (heard, original) if array is not None]
    for array in arrays:
        array.setflags(write=False)
    digests = tuple(digest(npy_bytes(array)) for array in arrays)
    uploaded = arrays[-1] if about.how == 'upload' else None
    return LaneTake(
        id=take_id(about, digests), about=about, audio=arrays[0], original=uploaded, digests=digests
    )
