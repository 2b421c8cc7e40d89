"""Sound streams of containers such as `.stem.mp4`, through PyAV: no ffmpeg on the system.

AAC begins with samples that only prime the decoder, and ends with a padded frame; the container's
edit list and duration say which samples count. Frames are therefore placed by their time stamps,
what lies before 0 or after the stated end is cut, and the streams of a file come out aligned.
"""

from types import ModuleType
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import MAX_DURATION_S, conform, require_end
from jen1composer.errors import BadInput

SLACK_S = 0.1  # By so much the stated end and the last frame may differ: two frames at 22 kHz.


def read_stream(path: epath.PathLike, stream: int) -> np.ndarray:
    """Decodes sound stream number `stream` of a file to float32 `[sample, 2]` at 48 kHz.

    Raises BadInput, one line that names the file, if PyAV is not installed, or if the file is
    missing, no container, cut off, has no such stream or more than MAX_DURATION_S.
    """
    av = _pyav(path)
    require_end(path)
    try:
        with epath.Path(path).open('rb') as file, av.open(file) as container:
            audio, rate = _decode(av, container, stream, str(path))
    except BadInput:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or 'cannot be opened'
        raise BadInput(
            f'{path}: not a container that can be read, or cut off ({reason}); allowed is .mp4'
        ) from error
    return conform(audio, rate, f'{path}, stream {stream}')


def _decode(av: ModuleType, container: Any, stream: int, name: str) -> tuple[np.ndarray, int]:
    """One stream as (float32 `[sample, channel]`, rate)."""
    streams = container.streams.audio
    if stream >= len(streams):
        raise BadInput(f'{name}: has {len(streams)} sound streams; needed are {stream + 1} or more')
    sound = streams[stream]
    rate = sound.rate
    stated_s = None
    if sound.duration is not None:
        stated_s = float(((sound.start_time or 0) + sound.duration) * sound.time_base)
    if stated_s is not None and stated_s > MAX_DURATION_S:
        raise BadInput(f'{name}: {stated_s:.0f} s long; allowed are up to {MAX_DURATION_S:.0f} s')
    to_float = av.AudioResampler(format='fltp', rate=rate)
    parts: list[tuple[int, np.ndarray]] = []
    end = 0
    for frame in container.decode(sound):
        for part in to_float.resample(frame):
            begin = round(part.pts * part.time_base * rate)
            parts.append((begin, part.to_ndarray()))  # [channel, sample]
            end = max(end, begin + part.samples)
        if end > MAX_DURATION_S * rate:  # Where the container states no duration.
            raise BadInput(f'{name}: longer than {MAX_DURATION_S:.0f} s, which is what is allowed')
    if stated_s is not None:
        if end < (stated_s - SLACK_S) * rate:
            raise BadInput(
                f'{name}: cut off, {end / rate:.1f} of {stated_s:.1f} s can be read in stream '
                f'{stream}; give the whole file'
            )
        end = min(end, round(stated_s * rate))
    audio = np.zeros((end, sound.channels), np.float32)
    for begin, part in parts:
        kept = part[:, max(0, -begin) : max(0, end - begin)]
        audio[max(0, begin) : max(0, begin) + kept.shape[1]] = kept.T
    return audio, rate


def _pyav(path: epath.PathLike) -> ModuleType:
    """PyAV, which only containers need."""
    try:
        import av
    except ImportError as error:
        raise BadInput(
            f'{path}: containers are read by PyAV, which is not installed; needed is '
            "pip install 'jen1composer[video]'"
        ) from error
    return av
