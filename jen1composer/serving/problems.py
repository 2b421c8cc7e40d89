"""What went wrong, as an answer: `{"error": one plain line, "field": what it is about}`.

400  what BadInput says of a field          409  the session is busy
401  no token, or a wrong one               413  a body larger than is taken
403  a page of another site                 422  a body or parameter of the wrong form
404  nothing of that name                   429  the queue is full, with Retry-After
408  a body that did not come in            503  starting or stopping, with Retry-After
"""

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from jen1composer.errors import BadInput, RunFailed
from jen1composer.serving.jobs import QueueFull, Stopping
from jen1composer.serving.lines import line_of
from jen1composer.serving.store import Busy, NotFound

FIELD = re.compile(r'(\w[\w .]{0,40}?)(?: \'[^\']{0,40}\')?:')


class Problem(BaseModel):
    """Any answer from 400 on."""

    error: str
    field: str | None = None


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that may answer so, beside what every route may."""
    return {status: {'model': Problem} for status in (400, 401, 403, 422, *statuses)}


def problem(
    status: int, line: str, field: str | None = None, *, retry_after_s: int | None = None
) -> JSONResponse:
    headers = {} if retry_after_s is None else {'Retry-After': str(retry_after_s)}
    if status == 401:
        headers['WWW-Authenticate'] = 'Bearer'
    content = {'error': line_of(line), 'field': field}
    return JSONResponse(content, status, headers)


def explain(error: Exception) -> JSONResponse:
    """The answer to what was raised; what nobody foresaw is logged and answered with 500."""
    match error:
        case BadInput():
            found = FIELD.match(line_of(error))
            return problem(400, str(error), found[1] if found else None)
        case NotFound():
            return problem(404, 'there is nothing of that name here')
        case Busy():
            return problem(409, str(error))
        case QueueFull():
            return problem(429, str(error), retry_after_s=error.retry_after_s)
        case Stopping():
            return problem(503, 'the server is not ready; try again', retry_after_s=2)
        case RequestValidationError():
            first = error.errors()[0]
            where = [str(part) for part in first['loc'] if isinstance(part, str)][1:]
            field = '.'.join(where) or None
            return problem(422, f'{field or "body"}: {first["msg"]}', field)
        case HTTPException():
            answer = problem(error.status_code, str(error.detail))
            answer.headers.update(error.headers or {})  # as Allow, and Retry-After
            return answer
        case RunFailed():
            return problem(500, str(error))
    logging.error('a request failed', exc_info=error)
    return problem(500, 'the server could not do this; its log says why')


def install(app: FastAPI) -> None:
    async def handle(request: Request, error: Exception) -> JSONResponse:
        del request
        return explain(error)

    kinds = (BadInput, NotFound, Busy, QueueFull, Stopping, RunFailed)
    for kind in (*kinds, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)
