"""A client of the server as a load has many of: it asks, waits as it is told to, and listens."""

import contextlib
import http.client
import io
import json
import time
import urllib.parse
from typing import Any

import numpy as np
import soundfile

from jen1composer.errors import BadInput, RunFailed
from jen1composer.tracks import SAMPLE_RATE

TIMEOUT_S = 600.0
LOOK_S = 0.1


class LoadClient:
    """Speaks to one server; every request has a connection of its own.

    Raises BadInput for a URL that is none, RunFailed for an answer that is not as it should be.
    """

    def __init__(self, url: str, token: str | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != 'http' or not parts.hostname:
            raise BadInput(f'--url={url}: allowed is http://HOST:PORT')
        self._host, self._port, self._url = parts.hostname, parts.port or 80, url
        self._headers = {'Authorization': f'Bearer {token}'} if token else {}
        self.times_full = 0  # that the queue was full

    def about(self) -> dict[str, Any]:
        try:
            return json.loads(self._send('GET', '/api/about'))
        except OSError as error:
            raise BadInput(f'--url={self._url}: there is no server ({error})') from error

    def memory_bytes(self) -> int:
        """What the server holds."""
        for text in self._send('GET', '/metrics').decode().splitlines():
            if text.startswith('process_resident_memory_bytes '):
                return round(float(text.split()[1]))
        return 0

    def piece(self, asked: dict[str, Any]) -> str:
        """Asks for a piece and hears its mix; returns how the job ended."""
        job = json.loads(self._send('POST', '/api/compose', asked))['job']
        end = self._wait(job)
        if end == 'done':
            self._hear(f'/api/jobs/{job}/mix.flac')
        return end

    def work_in_session(self, asked: dict[str, Any]) -> str:
        """Makes four lanes, uploads one, makes a part of another anew, and hears it."""
        session = json.loads(self._send('POST', '/api/sessions', {'prompt': 'dark rock'}))
        here = f'/api/sessions/{session["id"]}'
        try:
            end = self._act(here, {'do': 'compose'} | asked)
            noise = io.BytesIO()
            sound = 0.1 * np.random.default_rng(asked['seed']).standard_normal((SAMPLE_RATE, 2))
            soundfile.write(noise, sound, SAMPLE_RATE, format='FLAC')
            self._send(
                'POST', f'{here}/uploads?track={session["lanes"][0]["track"]}', noise.getvalue()
            )
            part = {'track': session['lanes'][1]['track'], 'spans': [[0, session['seconds'] / 2]]}
            end = self._act(here, {'do': 'regenerate'} | part | asked) if end == 'done' else end
            self._send('POST', f'{here}/actions', {'do': 'undo'})
            self._hear(f'{here}/mix.flac')
        finally:
            self._send('DELETE', here)
        return end

    def _act(self, here: str, action: dict[str, Any]) -> str:
        return self._wait(json.loads(self._send('POST', f'{here}/actions', action))['job'])

    def _wait(self, job: str) -> str:
        while True:
            state = json.loads(self._send('GET', f'/api/jobs/{job}'))['state']
            if state not in ('queued', 'running'):
                return state
            time.sleep(LOOK_S)

    def _hear(self, path: str) -> None:
        """Raises RunFailed for what is no sound, or silence."""
        audio, _ = soundfile.read(io.BytesIO(self._send('GET', path)))
        if not np.isfinite(audio).all() or not audio.any():
            raise RunFailed(f'{path}: is silent')

    def _send(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of the answer; where there is no room it waits as long as it is told to."""
        headers = dict(self._headers)
        if body is not None and not isinstance(body, bytes):
            body, headers['Content-Type'] = json.dumps(body).encode(), 'application/json'
        while True:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
            with contextlib.closing(connection):
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                data = answer.read()
            if answer.status == 429:
                self.times_full += 1
                time.sleep(float(answer.headers['Retry-After']))
            elif answer.status >= 400:
                raise RunFailed(f'{method} {path}: {answer.status} {data[:200]!r}')
            else:
                return data
