"""A service without a process around it, whose composer takes no time and has no network."""

import contextlib
import dataclasses
import pathlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from jen1composer.generation.composer import Composition, Take
from jen1composer.generation.parts import make_parts
from jen1composer.generation.request import Request
from jen1composer.serving import server
from jen1composer.serving.engine import StepProgress
from jen1composer.serving.limits import Limits
from jen1composer.serving.service import Service
from jen1composer.serving.store import Store
from jen1composer.tracks import SAMPLE_RATE, TRACKS, Role


@dataclasses.dataclass(kw_only=True)
class Noise:
    """Composes noise of the seed; while `open` is not set, it waits between its steps."""

    open: threading.Event = dataclasses.field(default_factory=threading.Event)
    error: Exception | None = None
    level: float = 0.1
    calls: int = 0

    def __call__(self, request: Request, *, cancelled: Any, on_progress: Any) -> Composition:
        self.calls += 1
        on_progress(StepProgress(done=1, total=2, left_s=1.0))
        while not self.open.wait(0.01):
            cancelled.check()
        if self.error:
            raise self.error
        takes = {}
        num_samples = round(request.seconds * SAMPLE_RATE)
        for number, part in enumerate(make_parts(request, TRACKS)):
            if part.role == Role.MARGINAL:
                continue
            audio, rng = part.audio, np.random.default_rng(request.seed + number)
            if part.holes:
                audio = self.level * rng.standard_normal((num_samples, 2)).astype(np.float32)
            assert audio is not None
            latents = np.zeros((1, 1), np.float32)
            takes[TRACKS[number]] = Take(
                role=part.role, audio=audio, latents=latents, holes=part.holes
            )
        return Composition(takes=takes, step=0, text_guidance=1.0, given_guidance={})


def noise(*, is_open: bool = True, error: Exception | None = None) -> Noise:
    made = Noise(error=error)
    if is_open:
        made.open.set()
    return made


@contextlib.contextmanager
def http(
    folder: pathlib.Path,
    composer: Any,
    compose: Noise,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    ready: bool = True,
) -> Iterator[TestClient]:
    """A client of the application in this process, as a browser on this machine asks."""
    with Store(folder) as store:
        service = Service(
            composer=composer, compose=compose, store=store, limits=limits or Limits()
        )
        app = server.make_app(service, token=token, warm_steps=1)
        with TestClient(app, base_url='http://localhost', raise_server_exceptions=False) as client:
            while ready and client.get('/readyz').status_code != 200:
                pass
            yield client
