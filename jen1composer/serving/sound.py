"""Sound that comes in to the server.

It is bounded before it is held: the header's length is checked first, and what is read
block by block ends at the limit whatever the header says. At most

    (1)  bytes = limit_s x rate x channels x 8

are held of a file, with rate <= 192,000 and channels <= 2, however small the file is.
"""

import io

import numpy as np
import soundfile
import soxr

from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE

KINDS = ('WAV', 'WAVEX', 'RF64', 'FLAC', 'AIFF', 'OGG', 'MP3')
RATES = (4_000, 192_000)
KNOWN = 'WAV, FLAC, AIFF, Ogg and MP3'
FINE = ('PCM_32', 'DOUBLE')  # what float32 cannot hold exactly
LOUDEST = 1000.0  # +60 dB above full scale: what is beyond is no sound
BLOCK = 1 << 16  # samples


def decode(data: bytes, name: str, *, limit_s: float) -> tuple[np.ndarray, int]:
    """A sound file in memory as [sample, channel] with one or two channels, and its rate.

    Samples are float32, or float64 where the file holds more than that can: none is changed.

    Raises BadInput, naming `name`, for what is no sound, is longer than `limit_s`, empty, has
    samples that are not finite or beyond LOUDEST, another number of channels or an odd rate.
    """
    try:
        with soundfile.SoundFile(_File(data)) as file:
            _check_header(file, name, limit_s)
            audio, rate = _read(file, name, limit_s), file.samplerate
    except BadInput:
        raise
    except (soundfile.LibsndfileError, MemoryError, ValueError, OSError) as error:
        reason = str(error).rpartition('>: ')[2]  # libsndfile names the buffer first
        line = f'{name}: not sound that can be read ({reason}); allowed are {KNOWN}'
        raise BadInput(line) from error
    if not len(audio):
        raise BadInput(f'{name}: holds no samples; needed is at least one')
    if not np.isfinite(audio).all():
        raise BadInput(f'{name}: holds samples that are not finite numbers; give sound')
    if np.abs(audio).max() > LOUDEST:
        raise BadInput(f'{name}: holds samples beyond {LOUDEST:g}; allowed are those of sound, +-1')
    return audio, rate


def conform(audio: np.ndarray, rate: int, name: str) -> np.ndarray:
    """[sample, channel] as float32 [sample, 2] at 48 kHz; mono is put on both channels."""
    if rate != SAMPLE_RATE:
        audio = soxr.resample(audio, rate, SAMPLE_RATE, quality='VHQ')
        if not len(audio):
            raise BadInput(f'{name}: holds less than one sample at {SAMPLE_RATE} Hz; give more')
    if audio.shape[1] == 1:
        audio = np.repeat(audio, 2, axis=1)
    return np.ascontiguousarray(audio, np.float32)


class _File(io.BytesIO):
    """Bytes in which one may seek before the beginning, as a damaged file makes libsndfile do."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}
        return super().seek(max(0, starts[whence] + offset))


def _check_header(file: soundfile.SoundFile, name: str, limit_s: float) -> None:
    if file.format not in KINDS:
        raise BadInput(f'{name}: is {file.format}; allowed are {KNOWN}')
    low, high = RATES
    if not low <= file.samplerate <= high:
        raise BadInput(f'{name}: {file.samplerate} samples a second; allowed are {low} to {high}')
    if file.channels > 2:
        raise BadInput(f'{name}: {file.channels} channels; allowed are 1 and 2')
    if file.frames > limit_s * file.samplerate:
        seconds = file.frames / file.samplerate
        raise BadInput(f'{name}: {seconds:.1f} s long; allowed are up to {limit_s:g} s')


def _read(file: soundfile.SoundFile, name: str, limit_s: float) -> np.ndarray:
    """All samples, [sample, channel]; ends at the limit, whatever the header said."""
    dtype = 'float64' if file.subtype in FINE else 'float32'
    limit = int(limit_s * file.samplerate)
    blocks, held = [np.zeros((0, file.channels), dtype)], 0
    while held <= limit:
        block = file.read(BLOCK, dtype=dtype, always_2d=True)
        if not len(block):
            return np.concatenate(blocks)
        blocks.append(block)
        held += len(block)
    raise BadInput(f'{name}: longer than {limit_s:g} s; allowed are up to {limit_s:g} s')
