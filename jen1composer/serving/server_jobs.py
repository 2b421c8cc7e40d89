"""Routes of pieces without a session, and of jobs with their progress as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from jen1composer.generation.request import MAX_SCALE
from jen1composer.serving.problems import responses
from jen1composer.serving.service import Service
from jen1composer.serving.store import NotFound

LOOK_S = 0.2  # between two looks at a job
SILENCE_S = 15.0  # after which a listener is told that it is still connected
ENDED = ('done', 'failed', 'cancelled')

Id = Annotated[str, Path(pattern='^[0-9a-f]{32}$')]


class Piece(BaseModel):
    """A piece to make at once, without a session."""

    model_config = ConfigDict(extra='forbid', strict=True, allow_inf_nan=False)

    prompt: str = ''
    targets: list[str] = Field([], description='tracks to make; all where none is named')
    marginal: list[str] = Field([], description='tracks to leave out')
    seconds: float | None = Field(None, description='length; one window where it is not said')
    seed: int = Field(0, ge=0, lt=2**31)
    steps: int = Field(50, ge=1)
    guidance: float | None = Field(None, ge=-MAX_SCALE, le=MAX_SCALE)
    bpm: float | None = Field(
        None, description='tempo, where the composer was trained with control'
    )
    key: str = Field('', description="such as 'A minor', likewise")
    chords: str = Field('', description="likewise; 'Am F C:2 G:2', bars or beats, needs a bpm")
    control_guidance: float | None = Field(None, ge=-MAX_SCALE, le=MAX_SCALE)


class Queued(BaseModel):
    """What is asked after at /api/jobs/JOB."""

    job: str


class JobJson(BaseModel):
    id: str
    state: Literal['queued', 'running', 'done', 'failed', 'cancelled']
    progress: float
    left_s: float | None
    error: str | None
    session: str | None
    tracks: list[str]
    warnings: dict[str, list[str]]


def router(service: Service) -> APIRouter:
    router = APIRouter(prefix='/api', tags=['jobs'])
    jobs, store = service.jobs, service.store

    @router.post('/compose', status_code=202, responses=responses(429, 503))
    def compose(piece: Piece) -> Queued:
        """Makes a piece; its tracks are at the job."""
        value = piece.model_dump()
        if value['seconds'] is None:
            value['seconds'] = service.window_s
        return Queued(job=service.compose_once(value))

    @router.get('/jobs/{job}', responses=responses(404))
    def show(job: Id) -> JobJson:
        """Where a job stands."""
        return JobJson(**jobs.describe(store.job(job)))

    @router.delete('/jobs/{job}', status_code=202, responses=responses(404))
    def cancel(job: Id) -> JobJson:
        """Cancels a job: at once where it waits, within a step where it runs."""
        jobs.cancel(store.job(job).id)
        return JobJson(**jobs.describe(store.job(job)))

    @router.get(
        '/jobs/{job}/events',
        responses=responses(404) | {200: {'content': {'text/event-stream': {}}}},
        response_class=Response,
    )
    async def events(job: Id) -> StreamingResponse:
        """Server-sent events `progress` with the job, and in the end one `done`, `failed` or
        `cancelled`."""
        await run_in_threadpool(store.job, job)  # what is not there is said at once
        headers = {'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no'}
        return StreamingResponse(
            _events(service, job), media_type='text/event-stream', headers=headers
        )

    @router.get(
        '/jobs/{job}/tracks/{name}.flac',
        responses=responses(404) | {200: {'content': {'audio/flac': {}}}},
        response_class=Response,
    )
    def track(job: Id, name: Annotated[str, Path(max_length=100)]) -> Response:
        """A track of a piece that was made without a session."""
        if name not in store.job(job).tracks:
            raise NotFound
        return _sound(service, job, name)

    @router.get(
        '/jobs/{job}/mix.flac',
        responses=responses(404) | {200: {'content': {'audio/flac': {}}}},
        response_class=Response,
    )
    def mix(job: Id) -> Response:
        """The tracks together, made quieter where they would clip."""
        return _sound(service, job, 'mix')

    return router


def _sound(service: Service, job: str, name: str) -> Response:
    """A file of a finished job; `name` is one of its tracks, or the mix."""
    path = service.store.job_folder(job) / f'{name}.flac'
    if not path.exists():  # it is not done, or belongs to a session
        raise NotFound
    headers = {'Cache-Control': 'private, max-age=31536000, immutable'}
    return Response(path.read_bytes(), media_type='audio/flac', headers=headers)


async def _events(service: Service, id: str) -> AsyncIterator[str]:
    """Ends with the job, and where the server stops and has returned it to the queue."""
    said, silent_s = '', 0.0
    while True:
        stopping = service.jobs.stopping and not service.jobs.num_running
        try:
            job = await run_in_threadpool(service.store.job, id)
        except NotFound:  # forgotten, or its session was deleted
            return
        value: dict[str, Any] = service.jobs.describe(job)
        text = json.dumps(value)
        if job.state in ENDED:
            yield f'event: {job.state}\ndata: {text}\n\n'
            return
        if text != said:
            yield f'event: progress\ndata: {text}\n\n'
            said, silent_s = text, 0.0
        elif silent_s >= SILENCE_S:
            yield ': still here\n\n'
            silent_s = 0.0
        if stopping:
            return
        await asyncio.sleep(LOOK_S)
        silent_s += LOOK_S
