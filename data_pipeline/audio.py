"""Audio files in and out: float32 `[sample, 2]` at 48 kHz.

libsndfile reads the part that is there of a file that was cut off, and says nothing. A cut is found
in two ways:

1. WAV and AIFF state the length of their sample chunk, Ogg marks its last page: the container is
   walked and compared with what is there.
2. FLAC and MP3 state their number of frames: it is compared with what could be decoded.

An MP3 or FLAC that states no length is the one kind whose end cannot be checked.
"""

import io
import os
import stat
import struct

import numpy as np
import soundfile
import soxr
from etils import epath

from jen1composer.errors import BadInput
from jen1composer.tracks import SAMPLE_RATE as RATE

RATES = range(4_000, 384_001)
FORMATS = ('.wav', '.flac', '.aif', '.aiff', '.ogg', '.mp3')
MAX_DURATION_S = 1800.0  # A song is held in memory, all its stems at once.
FINER_THAN_FLOAT32 = ('PCM_32', 'DOUBLE')
STREAMED = 0xFFFFFFFF  # A WAV written to a pipe does not know its length.


def read_audio(path: epath.PathLike) -> np.ndarray:
    """Reads a whole file to float32 `[sample, 2]` at 48 kHz; mono is put on both channels.

    Raises BadInput, one line that names the file, if it is missing, no audio, cut off, empty, has
    more than two channels, samples that are not finite or more than MAX_DURATION_S.
    """
    return conform(*decode(read_bytes(path), str(path)), str(path))


def conform(audio: np.ndarray, rate: int, name: str) -> np.ndarray:
    """Brings float32 `[sample, channel]` to `[sample, 2]` at 48 kHz; `name` is for errors.

    Raises BadInput for sound that `read_audio` refuses.
    """
    if not len(audio):
        raise BadInput(f'{name}: holds no samples; needed is at least one')
    if rate not in RATES:
        raise BadInput(f'{name}: {rate} samples a second; allowed are {RATES[0]} to {RATES[-1]}')
    if audio.shape[1] > 2:
        raise BadInput(f'{name}: {audio.shape[1]} channels; allowed are 1 and 2')
    if not np.isfinite(audio).all():
        raise BadInput(f'{name}: holds samples that are not finite numbers; give a sound file')
    if rate != RATE:
        num_samples = len(audio)
        audio = soxr.resample(audio, rate, RATE, quality='HQ')
        if not len(audio):
            raise BadInput(
                f'{name}: {num_samples} samples at {rate} a second are none at {RATE}; '
                'needed is at least one'
            )
    if audio.shape[1] == 1:
        audio = np.repeat(audio, 2, axis=1)
    return np.ascontiguousarray(audio)


def require_end(path: epath.PathLike) -> None:
    """Raises BadInput for a named pipe or a device: to read one may never end.

    What is not there, or on no local disk, is left to who opens it.
    """
    try:
        mode = os.stat(os.fspath(path)).st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise BadInput(f'{path}: is a pipe or a device; allowed is a regular file')


def read_bytes(path: epath.PathLike) -> bytes:
    """The content of a file; raises BadInput if it cannot be read."""
    require_end(path)
    try:
        return epath.Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = 'is a folder' if isinstance(error, IsADirectoryError) else 'cannot be opened'
        raise BadInput(
            f'{path}: {reason}; allowed is a sound file: {", ".join(FORMATS)}'
        ) from error


def decode(data: bytes, name: str, *, exact: bool = False) -> tuple[np.ndarray, int]:
    """Decodes a file in memory to (float32 `[sample, channel]`, rate); `name` is for errors.

    Where `exact` and the file holds more than the 24 bits of float32, samples are float64.
    """
    missing = missing_bytes(data)
    if missing:
        raise BadInput(f'{name}: cut off, {missing} bytes or more are missing; give the whole file')
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            stated, rate = file.frames, file.samplerate
            if stated > MAX_DURATION_S * rate:
                raise BadInput(
                    f'{name}: {stated / rate:.0f} s long; allowed are up to {MAX_DURATION_S:.0f} s'
                )
            fine = exact and file.subtype in FINER_THAN_FLOAT32
            audio = file.read(dtype='float64' if fine else 'float32', always_2d=True)
    except BadInput:
        raise
    except (soundfile.LibsndfileError, MemoryError, ValueError) as error:
        kinds = ', '.join(FORMATS)
        reason = str(error).rpartition('>: ')[2]  # libsndfile names the buffer first
        raise BadInput(
            f'{name}: not audio that can be read, or cut off ({reason}); allowed are {kinds}'
        ) from error
    if len(audio) < stated:
        raise BadInput(
            f'{name}: cut off, {len(audio)} of {stated} frames can be read; give the whole file'
        )
    return audio, rate


def write_flac(path: epath.PathLike, audio: np.ndarray, *, bits: int = 24) -> None:
    """Writes `[sample, 2]` within [-1, 1] at 48 kHz as FLAC with 16 or 24 bits."""
    if not np.abs(audio).max(initial=0.0) <= 1.0:
        raise ValueError('audio must be finite and lie in [-1, 1]')
    buffer = io.BytesIO()
    soundfile.write(buffer, audio, RATE, format='FLAC', subtype=f'PCM_{bits}')
    epath.Path(path).write_bytes(buffer.getvalue())


def missing_bytes(data: bytes) -> int:
    """How many bytes a WAV, AIFF or Ogg file lacks at its end at least; 0 for other formats."""
    match data[:4]:
        case b'RIFF' | b'RF64' | b'BW64':
            return _missing_in_chunks(data, '<', b'data')
        case b'FORM':
            return _missing_in_chunks(data, '>', b'SSND')
        case b'OggS':
            return _missing_in_ogg(data)
    return 0


def _missing_in_chunks(data: bytes, endian: str, wanted: bytes) -> int:
    """Walks IFF chunks (8 bytes of name and length, content, even padding) to the samples."""
    at, long_length = 12, None
    while at + 8 <= len(data):
        name, length = struct.unpack_from(f'{endian}4sI', data, at)
        if name == b'ds64' and at + 24 <= len(data):
            (long_length,) = struct.unpack_from('<Q', data, at + 16)
        if name == wanted:
            if length == STREAMED:
                length = long_length if long_length is not None else 0
            return max(0, at + 8 + length - len(data))
        at += 8 + length + length % 2
    return max(1, at - len(data))


def _missing_in_ogg(data: bytes) -> int:
    """1 unless the last page is whole and marked as the last of its stream."""
    at = data.rfind(b'OggS')
    header = data[at : at + 27]
    if len(header) < 27:
        return 27 - len(header)
    segments = data[at + 27 : at + 27 + header[26]]
    end = at + 27 + header[26] + sum(segments)
    marked_last = bool(header[5] & 4)
    return max(end - len(data), 0 if marked_last else 1)
