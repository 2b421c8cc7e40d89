"""Who may speak to the server.

1. On this machine alone (loopback) no token is needed. A page of another site in the same machine's
   browser could send requests too, though: so the host that is asked for has to be this machine
   by name or number, and a page that asks has to come from here.
2. On any other address a token is needed, `Authorization: Bearer TOKEN`, compared in constant time.
   A browser is let in by opening `/?token=TOKEN` once: a cookie then stands for it, which no script
   reads and no other site sends.

Health checks and the page's own files need none.
"""

import hmac
import http.cookies
import ipaddress
import urllib.parse

from starlette.datastructures import Headers, QueryParams
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jen1composer.serving.problems import problem

COOKIE = 'jen1composer_token'
OPEN = ('/healthz', '/readyz', '/')


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or a number, is this machine and nothing else."""
    if host.lower() == 'localhost':
        return True
    try:
        return ipaddress.ip_address(host.strip('[]')).is_loopback
    except ValueError:
        return False


class Guard:
    """Middleware that turns away who may not; without a token, whom another site sends."""

    def __init__(self, app: ASGIApp, *, token: str | None):
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer: Response | None = None
        if not self._from_here(headers):
            answer = problem(403, 'pages of other sites may not use this server')
        elif self._token is not None:
            given = QueryParams(scope['query_string']).get('token', '')
            if scope['path'] == '/' and given and self._is_token(given):
                answer = RedirectResponse('/', 303)
                answer.set_cookie(COOKIE, given, httponly=True, samesite='strict')
            elif not self._may(scope['path'], headers):
                answer = problem(401, 'a token is needed: Authorization: Bearer TOKEN')
        await (answer or self._app)(scope, receive, send)

    def _from_here(self, headers: Headers) -> bool:
        host = headers.get('host', '')
        if self._token is None and not is_loopback(_name(host)):
            return False
        origin = headers.get('origin')
        return origin is None or origin.partition('://')[2] == host

    def _may(self, path: str, headers: Headers) -> bool:
        if path in OPEN or path.startswith('/studio/'):
            return True
        kind, _, token = headers.get('authorization', '').partition(' ')
        if kind.lower() == 'bearer' and self._is_token(token.strip()):
            return True
        cookies = http.cookies.SimpleCookie()
        try:
            cookies.load(headers.get('cookie', ''))
        except http.cookies.CookieError:
            return False
        return COOKIE in cookies and self._is_token(cookies[COOKIE].value)

    def _is_token(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode('utf-8', 'replace'), self._token.encode())


def _name(host: str) -> str:
    """The host without its port."""
    try:
        return urllib.parse.urlsplit(f'//{host}').hostname or ''
    except ValueError:
        return ''
