"""Bodies that come in: counted and timed while they do, so that none takes what it likes."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from typing import IO

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jen1composer.serving.problems import problem

RAW = ('/uploads', '/import', '/encode', '/decode')  # ends of paths whose body is a file


class Bodies:
    """Reads files that are sent: so many at a time, of so many bytes, in so many seconds."""

    def __init__(self, *, max_bytes: int, max_s: float, at_a_time: int = 4):
        self._max_bytes, self._max_s = max_bytes, max_s
        self._free = at_a_time

    async def read(self, request: Request) -> bytes:
        """The body; raises HTTPException 408, 413 or 429."""
        body = bytearray()
        await self._receive(request, body.extend, self._max_bytes, self._max_s)
        return bytes(body)

    @contextlib.asynccontextmanager
    async def file(self, request: Request, max_bytes: int) -> AsyncIterator[IO[bytes]]:
        """The body in a file, for one too large for memory; raises as `read`."""
        max_s = self._max_s * max(1.0, max_bytes / self._max_bytes)
        with tempfile.TemporaryFile() as file:
            await self._receive(request, file.write, max_bytes, max_s)
            file.seek(0)
            yield file

    async def _receive(
        self, request: Request, take: Callable[[bytes], object], max_bytes: int, max_s: float
    ) -> None:
        too_large = HTTPException(413, f'file: too large; allowed are {max_bytes} bytes')
        stated = request.headers.get('content-length', '0')
        if not stated.isdigit() or int(stated) > max_bytes:
            raise too_large
        if not self._free:
            line = 'as many files are coming in as fit; try again'
            raise HTTPException(429, line, headers={'Retry-After': '1'})
        self._free -= 1
        try:
            async with asyncio.timeout(max_s):
                came = 0
                async for part in request.stream():
                    came += len(part)
                    if came > max_bytes:
                        raise too_large
                    take(part)
        except TimeoutError:
            raise HTTPException(408, f'the file took longer than {max_s:g} s') from None
        finally:
            self._free += 1


class BoundedJson:
    """Middleware that ends every body that is no file at `max_bytes` and after `max_s`."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, max_s: float):
        self._app, self._max_bytes, self._max_s = app, max_bytes, max_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http' or scope['path'].endswith(RAW):
            await self._app(scope, receive, send)
            return
        line = f'body: too large; allowed are {self._max_bytes} bytes'
        if _stated(scope) > self._max_bytes:
            await problem(413, line)(scope, receive, send)
            return
        came, ended = 0, False
        loop = asyncio.get_running_loop()
        until = loop.time() + self._max_s

        async def bounded() -> Message:
            nonlocal came, ended
            if ended:  # what comes now is that the client has gone
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f'the body took longer than {self._max_s:g} s') from None
            came += len(message.get('body', b''))
            ended = not message.get('more_body', False)
            if came > self._max_bytes:
                raise HTTPException(413, line)
            return message

        await self._app(scope, bounded, send)


def _stated(scope: Scope) -> int:
    headers: Mapping[bytes, bytes] = dict(scope['headers'])
    value = headers.get(b'content-length', b'0')
    return int(value) if value.isdigit() else 0
