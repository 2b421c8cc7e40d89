"""Routes of sessions: begun, listed, shown, acted in, heard, taken away as files, deleted."""

from typing import IO, Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from jen1composer.errors import BadInput
from jen1composer.generation.session import Session
from jen1composer.generation.stems import encode_sound
from jen1composer.serving import downloads, sound
from jen1composer.serving.action_schema import actions_schema
from jen1composer.serving.bodies import Bodies
from jen1composer.serving.jobs import Stopping
from jen1composer.serving.problems import responses
from jen1composer.serving.server_codec import FILE
from jen1composer.serving.server_jobs import Id, Queued
from jen1composer.serving.service import Service
from jen1composer.serving.store import NotFound
from jen1composer.tracks import SAMPLE_RATE

TakeId = Annotated[str, Path(pattern='^[0-9a-f]{8,64}$')]
Kind = Literal['flac', 'wav']
FOREVER = {'Cache-Control': 'private, max-age=31536000, immutable'}
NOW = {'Cache-Control': 'no-store'}
ACTION = {'requestBody': {'content': {'application/json': {'schema': actions_schema()}}}}
SOUND: dict[int | str, dict[str, Any]] = {200: {'content': {'audio/flac': {}, 'audio/wav': {}}}}
ZIP: dict[int | str, dict[str, Any]] = {200: {'content': {'application/zip': {}}}}
ACTIONS = {
    'compose': {'value': {'do': 'compose', 'tracks': ['drums'], 'seed': 3}},
    'regenerate': {'value': {'do': 'regenerate', 'track': 'bass', 'spans': [[1.0, 2.5]]}},
    'continue': {'value': {'do': 'continue', 'seconds': 5, 'side': 'end'}},
    'vary': {'value': {'do': 'vary', 'track': 'melody', 'strength': 0.4}},
    'keep': {'value': {'do': 'keep', 'track': 'bass', 'kept': True}},
    'select': {'value': {'do': 'select', 'track': 'bass', 'take': '0123456789abcdef'}},
    'mix': {'value': {'do': 'mix', 'track': 'bass', 'gain_db': -3, 'muted': False}},
    'set': {'value': {'do': 'set', 'prompt': 'dark rock', 'tempo_bpm': 120, 'key': 'A minor'}},
    'undo': {'value': {'do': 'undo'}},
    'redo': {'value': {'do': 'redo'}},
    'forget': {'value': {'do': 'forget'}},
}


class Begin(BaseModel):
    """How a session begins: empty, or with music in it."""

    model_config = ConfigDict(extra='forbid', strict=True, allow_inf_nan=False)

    prompt: str = ''
    seconds: float | None = None
    tempo_bpm: float | None = None
    key: str | None = None
    chords: str | None = None
    starter: bool = False


class Lane(BaseModel):
    model_config = ConfigDict(extra='allow')

    track: str
    kept: bool
    gain_db: float
    muted: bool
    solo: bool
    take: str | None
    takes: list[dict[str, Any]]


class SessionJson(BaseModel):
    model_config = ConfigDict(extra='allow')

    id: str
    job: str | None
    revision: int
    prompt: str
    seconds: float
    tempo_bpm: float | None
    key: str | None
    chords: str | None
    can_undo: bool
    can_redo: bool
    lanes: list[Lane]


class SessionLine(BaseModel):
    id: str
    prompt: str
    seconds: float
    changed: float


class SessionList(BaseModel):
    sessions: list[SessionLine]


def router(service: Service, bodies: Bodies) -> APIRouter:
    router = APIRouter(prefix='/api/sessions', tags=['sessions'])
    limits = service.limits

    @router.post('', status_code=201, responses=responses(429, 503))
    def begin(how: Begin | None = None) -> SessionJson:
        """A new session."""
        how = how or Begin()
        if how.starter:
            session = service.starter()
            if session is None:
                raise Stopping
        else:
            session = Session.new(
                service.tracks,
                seconds=service.window_s if how.seconds is None else how.seconds,
                prompt=how.prompt,
                tempo_bpm=how.tempo_bpm,
                key=how.key,
                chords=how.chords,
            )
        return SessionJson(**service.describe(service.begin(session)))

    @router.get('', responses=responses())
    def every() -> SessionList:
        """All sessions, the last changed first."""
        rows = [SessionLine(**vars(row)) for row in service.store.session_rows()]
        return SessionList(sessions=rows)

    @router.post('/import', status_code=201, responses=responses(408, 413, 429), openapi_extra=FILE)
    async def bring(request: Request) -> SessionJson:
        """A new session from the file of one, see `session.zip`."""
        async with bodies.file(request, limits.import_bytes) as file:
            return await service.heavy(brought, file)

    def brought(file: IO[bytes]) -> SessionJson:
        session = downloads.open_zip(file, limit_s=limits.session_s)
        if session.tracks != service.tracks:
            allowed = ', '.join(service.tracks)
            raise BadInput(f'tracks: {", ".join(session.tracks)}; allowed are {allowed}')
        return SessionJson(**service.describe(service.begin(session)))

    @router.get('/{id}', responses=responses(404))
    def show(id: Id) -> SessionJson:
        """A session as it is now, and the job that is at work in it."""
        return SessionJson(**service.describe(id))

    @router.delete('/{id}', status_code=204, responses=responses(404, 409))
    def delete(id: Id) -> None:
        """Deletes a session with all its takes; what is being made in it is cancelled."""
        service.delete(id)

    @router.post(
        '/{id}/actions',
        response_model=SessionJson,
        responses=responses(404, 409, 413, 429, 503) | {202: {'model': Queued}},
        openapi_extra=ACTION,
    )
    def act(
        id: Id, action: Annotated[dict[str, Any], Body(openapi_examples=ACTIONS)]
    ) -> Response | SessionJson:
        """Does one thing in a session: `generation.actions` has them all.

        What needs music made answers 202 with a job, whose end is the session's next state.
        """
        job = service.act(id, action)
        if job is not None:
            return JSONResponse({'job': job}, 202)
        return SessionJson(**service.describe(id))

    @router.post('/{id}/uploads', responses=responses(404, 408, 409, 413, 429), openapi_extra=FILE)
    async def upload(
        id: Id,
        request: Request,
        track: Annotated[str, Query(max_length=100)],
        name: Annotated[str, Query(max_length=200)] = '',
    ) -> SessionJson:
        """A sound file as a take of a lane, which is kept from then on."""
        await run_in_threadpool(service.store.session_row, id)  # before a file comes in for nothing
        data = await bodies.read(request)
        return await service.heavy(uploaded, id, track, name, data)

    def uploaded(id: str, track: str, name: str, data: bytes) -> SessionJson:
        heard = sound.decode(data, 'file', limit_s=limits.upload_s)
        service.act(id, {'do': 'upload', 'track': track, 'name': name}, upload=heard)
        return SessionJson(**service.describe(id))

    @router.get(  # before the next, which would take `original` for part of an id
        '/{id}/takes/{take}.original.wav',
        responses=responses(404) | SOUND,
        response_class=Response,
    )
    def original(id: Id, take: TakeId) -> Response:
        """What was uploaded, sample for sample, of the take or of what it goes on from."""
        session = service.session(id)
        try:
            upload = session.upload_of(session.take(take))
        except BadInput:
            raise NotFound from None
        if upload is None:
            raise NotFound
        audio, rate = upload.sound
        return Response(encode_sound(audio, rate, 'wav'), media_type='audio/wav', headers=FOREVER)

    @router.get(
        '/{id}/takes/{take}.{kind}', responses=responses(404) | SOUND, response_class=Response
    )
    def hear(id: Id, take: TakeId, kind: Kind) -> Response:
        """A take's sound; as WAV it is exact."""
        try:
            found = service.session(id).take(take)
        except BadInput:
            raise NotFound from None
        if found.lost:
            raise NotFound
        return _sound(found.audio, kind, FOREVER)

    @router.get('/{id}/mix.{kind}', responses=responses(404) | SOUND, response_class=Response)
    async def mix(
        id: Id, kind: Kind, lufs: Annotated[float | None, Query(ge=-60, le=0)] = None
    ) -> Response:
        """What is heard, by the lanes' gains; `lufs` brings it to a loudness."""
        return await service.heavy(mixed, id, kind, lufs)

    def mixed(id: str, kind: Kind, lufs: float | None) -> Response:
        return _sound(downloads.mix(service.session(id), lufs, kind), kind, NOW)

    @router.get('/{id}/stems.zip', responses=responses(404) | ZIP, response_class=Response)
    async def stems(id: Id, kind: Kind = 'flac') -> Response:
        """All stems, aligned and of one length, with the mix: for any music program."""
        return await service.heavy(lambda: downloads.stems_zip(service.session(id), kind))

    @router.get('/{id}/session.zip', responses=responses(404) | ZIP, response_class=Response)
    async def take_away(id: Id) -> Response:
        """The whole session as a file, which `import` takes."""
        return await service.heavy(lambda: downloads.session_zip(service.session(id)))

    return router


def _sound(audio: Any, kind: str, headers: dict[str, str]) -> Response:
    return Response(
        encode_sound(audio, SAMPLE_RATE, kind), media_type=f'audio/{kind}', headers=headers
    )
