"""The HTTP application of a listening test.

    POST   /api/listeners                           agree, get a code
    GET    /api/listeners/CODE                      how far one is
    GET    /api/listeners/CODE/trials/K/first       what is heard there (or `second`)
    POST   /api/listeners/CODE/answers              the answer to trial K
    DELETE /api/listeners/CODE                      withdraw: all answers are deleted

A browser learns of a trial its number and two sounds, nothing else: no name, no system, no pair. It
can ask only for the sounds of the trial it is at. It is an application of its own beside the
studio's, since it needs no model, and those who listen should find no studio; guard, problems,
bounds of bodies and page headers are the server's.
"""

import dataclasses
import mimetypes
import pathlib
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import APIRouter, FastAPI, Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from jen1composer.errors import BadInput, require
from jen1composer.serving import problems
from jen1composer.serving.bodies import BoundedJson
from jen1composer.serving.guard import Guard
from jen1composer.serving.listening.answers import Answers
from jen1composer.serving.listening.prepared import Experiment
from jen1composer.serving.listening.trials import Trial, trials_of
from jen1composer.serving.problems import responses
from jen1composer.serving.server_page import HEADERS
from jen1composer.serving.store import NotFound

PAGE = pathlib.Path(__file__).parent / 'page'
JSON_BYTES, RECEIVE_S = 4096, 30.0
# When a file was written would say which side it is: side a comes first.
TIMELESS = {
    'Cache-Control': 'no-store',
    'Last-Modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
    'ETag': '"sound"',
}

Code = Annotated[str, Path(pattern='^[0-9a-f]{16}$')]
Place = Literal['first', 'second']
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Agree(BaseModel):
    """That a listener has read what is kept, and agrees."""

    model_config = ConfigDict(extra='forbid', strict=True)

    consent: bool


class Answer(BaseModel):
    """What a listener says of a trial, and how long each place was played."""

    model_config = ConfigDict(extra='forbid', strict=True, allow_inf_nan=False)

    trial: Annotated[int, Field(ge=0, le=100_000)]
    prefers: Literal['first', 'second', 'neither']
    first_s: Seconds
    second_s: Seconds
    took_s: Seconds


class Standing(BaseModel):
    """How far a listener is: the next trial is the one of number `answered`, counted from 0."""

    code: str
    answered: int
    trials: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listening:
    """A test and its answers."""

    test: Experiment
    answers: Answers

    def trials(self, listener: str) -> list[Trial]:
        return trials_of(listener, len(self.test.pairs), self.test.seed)

    def standing(self, listener: str) -> Standing:
        """Raises NotFound for who is no listener."""
        answered = len(self.answers.of(listener))
        return Standing(code=listener, answered=answered, trials=len(self.trials(listener)))

    def sound(self, listener: str, number: int, place: Place) -> pathlib.Path:
        """The file of a place of the trial that the listener is at; raises NotFound otherwise."""
        trials = self.trials(listener)
        if number != len(self.answers.of(listener)) or number >= len(trials):
            raise NotFound
        return self.test.sound(trials[number].pair, trials[number].side(place))

    def answer(self, listener: str, said: Answer) -> bool:
        """Whether it was the answer to the trial that the listener is at, and is written."""
        trials = self.trials(listener)
        if said.trial >= len(trials):
            return False
        trial = trials[said.trial]
        seconds = {trial.side('first'): said.first_s, trial.side('second'): said.second_s}
        return self.answers.add(
            listener,
            said.trial,
            {
                'pair': self.test.pairs[trial.pair]['name'],
                'prefers': None if said.prefers == 'neither' else trial.side(said.prefers),
                'repeat': trial.repeat,
                'first': trial.side('first'),
                'heard_s': {side: round(seconds[side], 2) for side in sorted(seconds)},
                'took_s': round(said.took_s, 2),
            },
        )


def make_app(listening: Listening, *, token: str | None = None) -> FastAPI:
    """The application; `token` is what clients have to show, None lets this machine's in."""
    app = FastAPI(title='Listening test', version='1', docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(_api(listening))
    app.include_router(_page())
    app.add_middleware(BoundedJson, max_bytes=JSON_BYTES, max_s=RECEIVE_S)
    app.add_middleware(Guard, token=token)
    return app


def serve(app: FastAPI, *, host: str, port: int, on_start: Callable[[], None]) -> None:
    """Runs until SIGTERM or Ctrl-C; `on_start` is called when it listens.

    Raises BadInput for a port that cannot be listened at.
    """
    config = uvicorn.Config(app, host=host, port=port, log_level='warning', server_header=False)
    try:
        sockets = [config.bind_socket()]
    except SystemExit:  # uvicorn has said why
        raise BadInput(f'--port={port}: cannot be listened at; allowed is a free port') from None
    _Server(config, on_start).run(sockets=sockets)


class _Server(uvicorn.Server):
    """To be stopped is a good end: the signal is not raised again."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]):
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _api(listening: Listening) -> APIRouter:
    router = APIRouter(prefix='/api/listeners', tags=['listeners'])

    @router.post('', status_code=201, responses=responses())
    def begin(agree: Agree) -> Standing:
        """Takes part; nothing is kept of who does not agree."""
        require(agree.consent, 'consent', agree.consent, 'is true')
        return listening.standing(listening.answers.begin())

    @router.get('/{code}', responses=responses(404))
    def standing(code: Code) -> Standing:
        """How far one is."""
        return listening.standing(code)

    @router.delete('/{code}', status_code=204, responses=responses(404))
    def withdraw(code: Code) -> None:
        """Deletes all that was answered."""
        listening.answers.withdraw(code)

    @router.get(
        '/{code}/trials/{number}/{place}', response_class=FileResponse, responses=responses(404)
    )
    def sound(code: Code, number: Annotated[int, Path(ge=0)], place: Place) -> FileResponse:
        """What is heard; of the trial that one is at alone."""
        path = listening.sound(code, number, place)
        return FileResponse(path, media_type='audio/flac', headers=TIMELESS)

    @router.post('/{code}/answers', responses=responses(404, 409))
    def answer(code: Code, said: Answer) -> Standing:
        """Answers the trial that one is at; for any other it is 409, and nothing is written."""
        if not listening.answer(code, said):
            line = f'trial: {said.trial} is not the next one; it has been answered elsewhere'
            raise HTTPException(409, line)
        return listening.standing(code)

    return router


def _page() -> APIRouter:
    router = APIRouter(tags=['page'])
    files: dict[str, Any] = {path.name: path for path in PAGE.iterdir() if path.is_file()}

    def answer(name: str) -> Response:
        if name not in files:
            raise NotFound
        kind = mimetypes.guess_type(name)[0] or 'application/octet-stream'
        return Response(files[name].read_bytes(), media_type=kind, headers=HEADERS)

    @router.get('/', response_class=Response)
    def index() -> Response:
        """The page."""
        return answer('index.html')

    @router.get('/page/{name}', response_class=Response, responses=responses(404))
    def file(name: str) -> Response:
        """A file of the page."""
        return answer(name)

    return router
