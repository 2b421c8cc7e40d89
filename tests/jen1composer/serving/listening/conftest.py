"""Two folders of short sounds, a test of them, and a server of it in this process."""

import contextlib
import dataclasses
import io
import pathlib
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import uvicorn

from jen1composer.serving.listening.answers import Answers
from jen1composer.serving.listening.app import Listening, make_app
from jen1composer.serving.listening.prepared import Experiment, prepare
from tests.jen1composer.serving.client import Client

NAMES = ('ballad', 'march', 'waltz')
HERTZ = {'a': 300, 'b': 700}  # what a side is known by
GAIN = {'a': 0.05, 'b': 0.5}


def tone(side: str, seconds: float = 0.6, rate: int = 44_100) -> np.ndarray:
    time_s = np.arange(round(seconds * rate)) / rate
    return GAIN[side] * np.sin(2 * np.pi * HERTZ[side] * time_s)[:, None].repeat(2, axis=1)


def write(path: pathlib.Path, audio: np.ndarray, rate: int = 44_100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate)


def heard_side(flac: bytes) -> str:
    """Which side a sound is, by its pitch."""
    audio, rate = soundfile.read(io.BytesIO(flac))
    spectrum = np.abs(np.fft.rfft(audio[:, 0]))
    hertz = spectrum.argmax() * rate / len(audio)
    return min(HERTZ, key=lambda side: abs(HERTZ[side] - hertz))


@pytest.fixture
def folders(tmp_path) -> tuple[str, str]:
    for side in HERTZ:
        for name in NAMES:
            write(tmp_path / f'system_{side}' / f'{name}.wav', tone(side))
    return str(tmp_path / 'system_a'), str(tmp_path / 'system_b')


@pytest.fixture
def experiment(tmp_path, folders) -> Experiment:
    return prepare(tmp_path / 'out', *folders, limit=None, seed=3, progress=list)


@dataclasses.dataclass(frozen=True)
class Served:
    listening: Listening
    client: Client


@contextlib.contextmanager
def serving(experiment: Experiment, token: str | None = None) -> Iterator[Served]:
    with Answers(experiment.answers) as answers, socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listening = Listening(test=experiment, answers=answers)
        config = uvicorn.Config(make_app(listening, token=token), log_level='error')
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield Served(listening, Client(listener.getsockname()[1]))
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def served(experiment) -> Iterator[Served]:
    with serving(experiment) as served:
        yield served
