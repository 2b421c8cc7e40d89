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
    starts: Sequence[int] | None = None,
    options: Mapping[str, str] | None = None,
) -> pathlib.Path:
    """A container with one stereo AAC stream for each wave, float32 `[sample]` or `[sample, 2]`.

    `starts` are the samples at which the waves begin, by default 0.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', format='mp4', options=dict(options or {})) as container:
        streams = []
        for _ in waves:
            stream = container.add_stream('aac', rate=rate)
            stream.layout = 'stereo'
            stream.bit_rate = 256_000
            streams.append(stream)
        time_base = fractions.Fraction(1, rate)
        starts = [0] * len(waves) if starts is None else starts
        for stream, wave, start in zip(streams, waves, starts, strict=True):
            sides = np.broadcast_to(wave.reshape(len(wave), -1).T, (2, len(wave)))
            for k in range(0, len(wave), 1024):  # A frame of AAC.
                part = np.ascontiguousarray(sides[:, k : k + 1024])
                frame = av.AudioFrame.from_ndarray(part, format='fltp', layout='stereo')
                frame.rate, frame.pts, frame.time_base = rate, start + k, time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path
