"""`.stem.mp4` for the tests: a real one, and several AAC streams in a container by PyAV."""

import fractions
import pathlib
from collections.abc import Mapping, Sequence

import av
import numpy as np

from data_pipeline.sources.wheels import Wheel, fetch, member

# Six seconds of a song of MUSDB18, CC BY-NC-SA: read from the package, never kept.
STEMPEG = Wheel(name='stempeg', version='0.2.6')
REAL = 'stempeg/data/The Easton Ellises - Falcon 69.stem.mp4'
REAL_SHA256 = '874a2552f4d6e2421789e9816f0db58337e97e20539579e34a6100029e3cde5d'


def write_real_container(folder: pathlib.Path) -> pathlib.Path:
    """The real one, under its own name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / pathlib.PurePath(REAL).name
    path.write_bytes(member(fetch(STEMPEG), REAL, REAL_SHA256))
    return path


def write_container(
    path: pathlib.Path,
    waves: Sequence[np.ndarray],
    rate: int = 44_100,
    options: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """A container with one stereo AAC stream for each wave, float32 `[sample]` or `[sample, 2]`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', format='mp4', options=dict(options or {})) as container:
        streams = []
        for _ in waves:
            stream = container.add_stream('aac', rate=rate)
            stream.layout = 'stereo'
            stream.bit_rate = 256_000
            streams.append(stream)
        for stream, wave in zip(streams, waves, strict=True):
            sides = np.broadcast_to(wave.reshape(len(wave), -1).T, (2, len(wave)))
            whole = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sides), format='fltp', layout='stereo'
            )
            whole.rate, whole.pts, whole.time_base = rate, 0, fractions.Fraction(1, rate)
            queue = av.AudioFifo()
            queue.write(whole)
            while (frame := queue.read(1024, partial=True)) is not None:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path
