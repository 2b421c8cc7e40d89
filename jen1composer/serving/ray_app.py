"""The server on many machines: the same application as a Ray Serve deployment (extra `ray`).

    clients -> front (one replica: HTTP, sessions, queue) -> makers (many: an engine each)

Sessions and jobs lie in one folder with one owner, the front; what costs is done by the makers, of
which each has the weights, a device and a batch of its own. A request is the same music whoever
makes it. Where a maker dies its requests are begun again by another: that is no end of a job.
"""

import asyncio
import dataclasses
import logging
import os
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from ray import serve

from jen1composer.errors import BadInput, RunFailed
from jen1composer.generation.composer import Composer, Composition
from jen1composer.generation.request import Request
from jen1composer.serving import server
from jen1composer.serving.engine import Engine, StepProgress
from jen1composer.serving.jobs import Flag
from jen1composer.serving.limits import Limits
from jen1composer.serving.service import Service
from jen1composer.serving.store import Store

APP, MAKER = 'jen1composer', 'Maker'
LOOK_S = 0.25  # between two looks of a maker at whether it is still wanted
SILENT_S = 30.0  # after which a maker, who says something every LOOK_S, is taken for lost
ATTEMPTS = 3


class Lost(Exception):
    """The maker of a request is not there any more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a request ended at a maker: errors that a person can act on come as themselves."""

    composition: Composition | None = None
    error: BadInput | RunFailed | None = None


class Maker:
    """A replica with an engine."""

    def __init__(self, load: Callable[[], Composer], slots: int):
        self._engine = Engine(load(), slots=slots)

    def process(self) -> int:
        return os.getpid()

    async def compose(self, request: Request) -> AsyncIterator[StepProgress | Ended | None]:
        """Progress as it comes, None where nothing does, and in the end an `Ended`.

        Who stops listening calls the request off.
        """
        said: queue.SimpleQueue[StepProgress | Ended] = queue.SimpleQueue()
        unwanted = threading.Event()

        def work() -> None:
            try:
                made = self._engine.compose(request, cancelled=unwanted, on_progress=said.put)
                said.put(Ended(composition=made))
            except (BadInput, RunFailed) as error:
                said.put(Ended(error=error))
            except Exception as error:
                said.put(Ended(error=RunFailed(f'a maker failed: {type(error).__name__}')))

        threading.Thread(target=work, daemon=True).start()
        try:
            while True:
                try:
                    news = await asyncio.to_thread(said.get, timeout=LOOK_S)
                except queue.Empty:
                    yield None
                    continue
                yield news
                if isinstance(news, Ended):
                    return
        finally:
            unwanted.set()


@dataclasses.dataclass(frozen=True)
class Remote:
    """Composes by whichever maker is free; a `service.ComposeFunction`."""

    makers: Any  # handle of the deployment

    def __call__(
        self, request: Request, *, cancelled: Flag, on_progress: Callable[[StepProgress], None]
    ) -> Composition:
        for _ in range(ATTEMPTS):
            try:
                return self._compose(request, cancelled, on_progress)
            except Lost:
                continue
        raise RunFailed(f'{ATTEMPTS} makers were lost while they made this')

    def _compose(
        self, request: Request, cancelled: Flag, on_progress: Callable[[StepProgress], None]
    ) -> Composition:
        stream = self.makers.options(stream=True).compose.remote(request)
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=_listen, args=(stream, said), daemon=True).start()
        try:
            heard_at = time.monotonic()
            while True:
                cancelled.check()
                try:
                    news = said.get(timeout=LOOK_S)
                except queue.Empty:
                    if time.monotonic() - heard_at > SILENT_S:
                        raise Lost from None
                    continue
                heard_at = time.monotonic()
                if isinstance(news, StepProgress):
                    on_progress(news)
                elif isinstance(news, Ended):
                    if news.error is not None:
                        raise news.error
                    assert news.composition is not None
                    return news.composition
                elif isinstance(news, BaseException):
                    logging.warning('a maker was lost: %s', type(news).__name__)
                    raise Lost
        finally:
            stream.cancel()  # after its end that is nothing


def _listen(stream: Any, said: 'queue.SimpleQueue[Any]') -> None:
    """Passes on what comes, and how it ends; a stream of a maker that died may never end."""
    try:
        for news in stream:
            said.put(news)
    except BaseException as error:
        said.put(error)


def make_application(
    load: Callable[[], Composer],
    *,
    folder: str,
    token: str | None,
    replicas: int,
    slots: int = 8,
    limits: Limits | None = None,
    resources: Mapping[str, float] | None = None,
    warm_steps: int = server.WARM_STEPS,
) -> Any:
    """What `ray.serve.run` runs.

    Args:
        load: reads the composer, on the machine of each replica.
        folder: of sessions and jobs, on the machine of the front, or one that all reach.
        token: what clients have to show; None where Ray listens on this machine alone.
        replicas: makers.
        slots: rows of the batch of each.
        limits: the workers are jobs that are at makers at a time; all makers' slots, if not given.
        resources: of a maker, for example {'TPU': 4} or {'num_gpus': 1}.
        warm_steps: see `server.make_app`.
    """
    bounds = dataclasses.replace(limits or Limits(workers=2 * slots * replicas), slots=slots)

    def build() -> FastAPI:
        """The application, in the front's process."""
        service = Service(
            composer=load(),
            compose=Remote(serve.get_deployment_handle(MAKER, app_name=APP)),
            store=Store(folder),
            limits=bounds,
        )
        return server.make_app(service, token=token, warm_steps=warm_steps)

    named = dict(resources or {})
    options: dict[str, Any] = {
        name: named.pop(name) for name in ('num_cpus', 'num_gpus') if name in named
    }
    makers = serve.deployment(Maker).options(
        name=MAKER,
        num_replicas=replicas,
        max_ongoing_requests=2 * slots,
        ray_actor_options=options | {'resources': named},
    )
    front = serve.deployment(serve.ingress(build)()).options(
        name='Front',
        num_replicas=1,
        max_ongoing_requests=1000,  # listeners to events among them
        graceful_shutdown_timeout_s=bounds.grace_s,
        ray_actor_options={'num_cpus': 0},
    )
    return front.bind(makers.bind(load, slots))
