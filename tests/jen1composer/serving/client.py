"""A client of the server over HTTP, and the server as a process of its own that can be killed."""

import contextlib
import dataclasses
import http.client
import io
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

ROOT = pathlib.Path(__file__).parents[3]
GIVE_UP_S = 120.0


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sound(self) -> np.ndarray:
        """[sample, 2]; it has to be at 48 kHz."""
        audio, rate = soundfile.read(io.BytesIO(self.body), dtype='float32', always_2d=True)
        assert rate == 48_000
        return audio


@dataclasses.dataclass(frozen=True)
class Client:
    port: int
    headers: dict[str, str] = dataclasses.field(default_factory=dict)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body` is bytes, or anything else as JSON."""
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=GIVE_UP_S)
        sent = dict(self.headers) | {
            name.replace('_', '-'): value for name, value in headers.items()
        }
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent['Content-Type'] = 'application/json'
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, named, answer.read())

    def get(self, path: str) -> Answer:
        return self.send('GET', path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.send('POST', path, body)

    def begin(self, **how: Any) -> dict[str, Any]:
        answer = self.post('/api/sessions', how)
        assert answer.status == 201, answer.body
        return answer.json

    def act(self, session: str, **action: Any) -> Answer:
        return self.post(f'/api/sessions/{session}/actions', action)

    def done(self, session: str, **action: Any) -> dict[str, Any]:
        """The session after an action, waited for where it is composed."""
        answer = self.act(session, **action)
        assert answer.status in (200, 202), answer.body
        if answer.status == 202:
            ended = self.wait(answer.json['job'])
            assert ended['state'] == 'done', ended
        return self.get(f'/api/sessions/{session}').json

    def wait(self, job: str) -> dict[str, Any]:
        """The job when it has ended."""
        until = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until:
            found = self.get(f'/api/jobs/{job}').json
            if found['state'] not in ('queued', 'running'):
                return found
            time.sleep(0.05)
        raise AssertionError(f'job {job} does not end')

    def events(self, job: str) -> list[tuple[str, dict[str, Any]]]:
        """All server-sent events of a job, to its end."""
        text = self.get(f'/api/jobs/{job}/events').body.decode()
        found = []
        for part in text.split('\n\n'):
            lines = dict(line.split(': ', 1) for line in part.splitlines() if ': ' in line)
            if lines.get('event'):
                found.append((lines['event'], json.loads(lines['data'])))
        return found


class Server:
    """The tiny server as a process; it may be killed and started again on the same folder."""

    def __init__(self, folder: pathlib.Path, *, ready: bool = True, **flags: Any):
        with socket.socket() as probe:  # a port that nothing listens on
            probe.bind(('127.0.0.1', 0))
            self.port = probe.getsockname()[1]
        self._folder, self._flags = folder, flags
        self.log = folder.parent / f'{folder.name}.log'
        self.start(ready=ready)

    def start(self, *, ready: bool = True) -> None:
        flags = {'port': self.port, 'folder': self._folder} | self._flags
        environment = {**os.environ, 'JAX_PLATFORMS': 'cpu'}
        with self.log.open('a') as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    '-m',
                    'tests.jen1composer.serving.tiny_server',
                    *(f'--{name}={value}' for name, value in flags.items()),
                ],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + GIVE_UP_S
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                if self.client.get('/readyz' if ready else '/healthz').status == 200:
                    return
            time.sleep(0.05)
        self.kill()
        raise AssertionError(f'the server does not start:\n{self.log.read_text()[-3000:]}')

    @property
    def client(self) -> Client:
        token = self._flags.get('token')
        return Client(self.port, {'Authorization': f'Bearer {token}'} if token else {})

    def kill(self) -> None:
        """Kills it without a word."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=GIVE_UP_S)


@contextlib.contextmanager
def serving(folder: pathlib.Path, **flags: Any) -> Iterator[Server]:
    server = Server(folder, **flags)
    try:
        yield server
    finally:
        server.kill()
