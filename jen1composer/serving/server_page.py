"""The studio's files. A request names one of those that are there; no path is made of its words."""

import mimetypes
import pathlib

from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from jen1composer.serving.problems import Problem
from jen1composer.serving.store import NotFound

STUDIO = pathlib.Path(__file__).parent / 'studio'
HEADERS = {
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
    'Content-Security-Policy': (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "media-src 'self' data: blob:; connect-src 'self' data: blob:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'self'"
    ),
}


def router() -> APIRouter:
    router = APIRouter(tags=['page'], responses={404: {'model': Problem}})

    @router.get('/', response_class=Response)
    async def index() -> Response:
        """The studio."""
        return await run_in_threadpool(_file, 'index.html')

    @router.get('/studio/{name:path}', response_class=Response)
    async def file(name: str) -> Response:
        """A file of the studio."""
        return await run_in_threadpool(_file, name)

    return router


def _file(name: str) -> Response:
    """Raises NotFound for what is no file of the studio."""
    files = {
        path.relative_to(STUDIO).as_posix(): path for path in STUDIO.rglob('*') if path.is_file()
    }
    if name not in files:
        raise NotFound
    kind = mimetypes.guess_type(name)[0] or 'application/octet-stream'
    return Response(files[name].read_bytes(), media_type=kind, headers=HEADERS)
