"""The HTTP application: what is asked for, handed to `service`, and answered.

    app = make_app(service, token=None)

`serve` runs it until SIGTERM or Ctrl-C. Then it takes on nothing new, and what runs is finished, or
returned to the queue on disk where it takes too long, see `jobs`.
"""

import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from types import FrameType

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jen1composer.errors import BadInput, RunFailed
from jen1composer.serving import problems, server_codec, server_jobs, server_page, server_sessions
from jen1composer.serving.bodies import Bodies, BoundedJson
from jen1composer.serving.guard import Guard, is_loopback
from jen1composer.serving.metrics import Metrics
from jen1composer.serving.service import Service
from jen1composer.tracks import SAMPLE_RATE

STEPS, WARM_STEPS = 50, 20
METHODS = ('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS')


def make_app(
    service: Service, *, token: str | None = None, warm_steps: int = WARM_STEPS
) -> FastAPI:
    """The application; its life begins and ends that of the service's jobs.

    Args:
        service: what does the work.
        token: what clients have to show; None lets this machine's in.
        warm_steps: of the piece that is made before the server is ready.
    """
    limits = service.limits

    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        with service.jobs:
            threading.Thread(target=_warm_up, args=(service, warm_steps), daemon=True).start()
            yield

    app = FastAPI(
        title='JEN-1 Composer',
        description='Four tracks of music, made together, one by one or from what is there.',
        version='1',
        lifespan=life,
        docs_url=None,  # these two would fetch scripts from elsewhere
        redoc_url=None,
    )
    problems.install(app)
    bodies = Bodies(max_bytes=limits.upload_bytes, max_s=limits.receive_s)
    for router in (
        _general(service),
        server_sessions.router(service, bodies),
        server_jobs.router(service),
        server_codec.router(service, bodies),
        server_page.router(),
    ):
        app.include_router(router)
    app.add_middleware(BoundedJson, max_bytes=limits.json_bytes, max_s=limits.receive_s)
    app.add_middleware(Guard, token=token)
    app.add_middleware(Counted, metrics=service.metrics)  # the outermost
    return app


def serve(
    app: FastAPI,
    service: Service,
    *,
    host: str,
    port: int,
    token: str | None,
    on_start: Callable[[], None] = lambda: None,
) -> None:
    """Runs until it is stopped; `on_start` is called when it listens.

    Raises BadInput for an open address without a token, and one that cannot be listened at, and
    RunFailed where the first piece cannot be made.
    """
    check_address(host, token)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level='warning',
        timeout_graceful_shutdown=round(service.limits.grace_s) + 5,
        timeout_keep_alive=30,
        server_header=False,
    )
    try:
        _Server(config, service, on_start).run(sockets=[config.bind_socket()])
    except SystemExit:  # uvicorn has said why
        raise BadInput(f'--port={port}: cannot be listened at; allowed is a free port') from None
    if service.failed is not None:
        raise RunFailed(service.failed)


def check_address(host: str, token: str | None) -> None:
    """Raises BadInput for an address that other machines reach, without a token."""
    if token is None and not is_loopback(host):
        raise BadInput(
            f'--host={host}: needs --token_file, since other machines can reach it; allowed '
            'without one are 127.0.0.1 and localhost'
        )


class _Server(uvicorn.Server):
    """Lets running jobs finish while their listeners are still connected."""

    def __init__(self, config: uvicorn.Config, service: Service, on_start: Callable[[], None]):
        super().__init__(config)
        self._service, self._on_start = service, on_start

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._service.failed is not None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True  # to end so is a good end: the signal is not raised again
        grace_s = self._service.limits.grace_s if sig == signal.SIGTERM else 0.0
        threading.Thread(target=self._service.jobs.drain, args=(grace_s,), daemon=True).start()


class Counted:
    """Middleware that counts answers and their time: by route rather than by path, and by methods
    that there are, so that what is counted is as much as there are of both."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics):
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message['type'] == 'http.response.start':
                status = message['status']
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get('route'), 'path', 'none')
            method = scope['method'] if scope['method'] in METHODS else 'other'
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.request_seconds.labels(route).observe(time.monotonic() - began)


def _warm_up(service: Service, num_steps: int) -> None:
    try:
        service.warm_up(num_steps)
    except Exception as error:
        if service.jobs.stopping:
            return
        if not isinstance(error, BadInput | RunFailed):
            logging.exception('the first piece failed')
        service.failed = f'the first piece failed: {error}'  # which ends `serve`


def _general(service: Service) -> APIRouter:
    router = APIRouter()

    @router.get('/api/about', tags=['general'], responses=problems.responses())
    async def about() -> dict:
        """What this server makes, what it allows, and what it takes where nothing is said."""
        composer, limits = service.composer, service.limits
        return {
            'tracks': list(service.tracks),
            'sample_rate': SAMPLE_RATE,
            'window_s': service.window_s,
            'limits': {
                'seconds': limits.seconds,
                'steps': limits.steps,
                'samplers': list(limits.samplers),
                'prompt_letters': limits.prompt_letters,
                'upload_bytes': limits.upload_bytes,
                'upload_s': limits.upload_s,
                'import_bytes': limits.import_bytes,
                'session_s': limits.session_s,
                'queue': limits.queue,
            },
            'defaults': {'steps': min(STEPS, limits.steps), 'seconds': service.window_s},
            'control': composer.spec.model.control,  # whether chords can be asked for
            'model': {'trained_steps': composer.step, 'parameters': composer.num_parameters},
        }

    @router.get('/healthz', tags=['general'])
    async def healthz() -> dict:
        """Whether the process answers."""
        return {'ok': True}

    @router.get('/readyz', tags=['general'], responses={503: {'model': problems.Problem}})
    async def readyz() -> Response:
        """Whether music can be asked for: not while it starts and while it stops."""
        if service.ready:
            return Response('{"ok": true}', media_type='application/json')
        return problems.problem(503, 'starting or stopping', retry_after_s=2)

    @router.get(
        '/metrics',
        tags=['general'],
        responses=problems.responses() | {200: {'content': {'text/plain': {}}}},
        response_class=Response,
    )
    def metrics(request: Request) -> Response:
        """For Prometheus."""
        del request
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
