"""Files that are no sound, or not what they say: a function of a seed.

  python -m tests.jen1composer.serving.malformed 500

sends so many to a server of its own, and prints what they got.
"""

import collections
import io
import pathlib
import struct
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
import soundfile

KINDS = {
    'wav': ('WAV', 'PCM_16'),
    'float_wav': ('WAV', 'FLOAT'),
    'flac': ('FLAC', 'PCM_24'),
    'ogg': ('OGG', 'VORBIS'),
    'mp3': ('MP3', 'MPEG_LAYER_III'),
    'aiff': ('AIFF', 'PCM_16'),
    'rf64': ('RF64', 'PCM_16'),
}
OTHERS = {'au': ('AU', 'PCM_16'), 'caf': ('CAF', 'PCM_16'), 'w64': ('W64', 'PCM_16')}


def sound(kind: str, seconds: float = 0.2, channels: int = 2, rate: int = 48_000) -> bytes:
    """A whole file of noise."""
    file = io.BytesIO()
    audio = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    format, subtype = (KINDS | OTHERS)[kind]
    soundfile.write(file, audio, rate, format=format, subtype=subtype)
    return file.getvalue()


def noise(rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 5000)))


def cut(rng: np.random.Generator) -> bytes:
    """The beginning of a file."""
    data = sound(str(rng.choice(list(KINDS))))
    return data[: int(rng.integers(0, len(data)))]


def flipped(rng: np.random.Generator) -> bytes:
    """A file with some bytes changed, most of them in its header."""
    data = bytearray(sound(str(rng.choice(list(KINDS)))))
    reach = 100 if rng.random() < 0.7 else len(data)
    for place in rng.integers(0, min(reach, len(data)), int(rng.integers(1, 12))):
        data[place] = int(rng.integers(256))
    return bytes(data)


def spliced(rng: np.random.Generator) -> bytes:
    """The head of one file before the rest of another."""
    first, second = (sound(str(kind)) for kind in rng.choice(list(KINDS), 2))
    at = int(rng.integers(4, 200))
    return first[:at] + second[at:]


def lying_wav(rng: np.random.Generator) -> bytes:
    """A header that states channels, rate, width and length as it likes."""
    channels = int(rng.choice([0, 1, 2, 3, 255, 65_535]))
    rate = int(rng.choice([0, 1, 48_000, 192_001, 2**31, 2**32 - 1]))
    bits = int(rng.choice([0, 1, 8, 16, 24, 32, 64, 65_535]))
    length = int(rng.choice([0, 1, 1000, 2**31, 2**32 - 1]))
    kind = int(rng.choice([0, 1, 2, 3, 6, 17, 0xFFFE]))
    fields = struct.pack('<HHIIHH', kind, channels, rate, rate, 4, bits)
    body = rng.bytes(1000)
    return (
        b'RIFF' + struct.pack('<I', length) + b'WAVEfmt ' + struct.pack('<I', 16) + fields
        + b'data' + struct.pack('<I', length) + body
    )  # fmt: skip


def lying_flac(rng: np.random.Generator) -> bytes:
    """A stream that states 2^36 - 1 samples, or any rate."""
    data = bytearray(sound('flac'))
    at = 8 + 10  # after the marker, the block's header and the sizes: rate, channels, bits, samples
    if rng.random() < 0.5:
        data[at + 3] |= 0x0F
        data[at + 4 : at + 8] = b'\xff' * 4
    else:
        data[at : at + 3] = rng.bytes(3)
    return bytes(data)


def not_finite(rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    audio = np.zeros((1000, 2), np.float32)
    audio[int(rng.integers(1000))] = rng.choice([np.nan, np.inf, -np.inf])
    soundfile.write(file, audio, 48_000, format='WAV', subtype='FLOAT')
    return file.getvalue()


def too_long(rng: np.random.Generator) -> bytes:
    """Little to send, and much to hold."""
    file = io.BytesIO()
    rate = int(rng.choice([4_000, 8_000]))
    soundfile.write(file, np.zeros((rate * 100, 1), np.int16), rate, format='FLAC')
    return file.getvalue()


def another_shape(rng: np.random.Generator) -> bytes:
    """Whole files that are not taken: many channels, odd rates, other formats."""
    match int(rng.integers(3)):
        case 0:
            return sound('wav', channels=int(rng.integers(3, 9)))
        case 1:
            return sound('wav', rate=int(rng.choice([100, 1000, 3999, 192_001, 1_000_000])))
    return sound(str(rng.choice(list(OTHERS))))


def no_sound(rng: np.random.Generator) -> bytes:
    return [
        b'',
        b'RIFF',
        b'fLaC',
        b'OggS',
        b'ID3',
        b'<html></html>',
        b'PK\x03\x04',
        b'\x00' * 4096,
    ][int(rng.integers(8))]


ALL: tuple[Callable[[np.random.Generator], bytes], ...] = (
    noise,
    cut,
    flipped,
    spliced,
    lying_wav,
    lying_flac,
    not_finite,
    too_long,
    another_shape,
    no_sound,
)


def make(number: int) -> tuple[str, bytes]:
    """The kind and the bytes of one; kinds take turns."""
    kind = ALL[number % len(ALL)]
    return kind.__name__, kind(np.random.default_rng(number))


def main() -> None:
    from tests.jen1composer.serving.client import serving

    with (
        tempfile.TemporaryDirectory() as folder,
        serving(pathlib.Path(folder) / 'data', limits='{"upload_s": 10}') as server,
    ):
        client, got, longest_s = server.client, collections.Counter(), 0.0
        session = client.begin()['id']
        client.post(f'/api/sessions/{session}/uploads?track=bass', sound('wav'))
        before = memory(server.process.pid)
        for number in range(int(sys.argv[1])):
            kind, data = make(number)
            began = time.monotonic()
            answer = client.post(f'/api/sessions/{session}/uploads?track=bass', data)
            longest_s = max(longest_s, time.monotonic() - began)
            got[kind, answer.status] += 1
        for (kind, status), count in sorted(got.items()):
            print(f'{kind:15} {status} {count:4}')
        print('all', dict(sorted(collections.Counter(s for _, s in got.elements()).items())))
        print(f'the longest answer took {longest_s * 1000:.0f} ms')
        print(f'memory {before} before, {memory(server.process.pid)} after')
        print('lives' if client.get('/readyz').status == 200 else 'is dead')


def memory(pid: int) -> str:
    lines = pathlib.Path(f'/proc/{pid}/status').read_text().splitlines()
    return ', '.join(
        ' '.join(line.split()) for line in lines if line.startswith(('VmRSS', 'VmHWM'))
    )


if __name__ == '__main__':
    main()
