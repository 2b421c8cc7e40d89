"""What listeners have answered: lines of a file, each there when its listener is told so.

    {"listener": CODE, "consent": 1, "at": SECONDS}
    {"listener": CODE, "trial": 0, "pair": NAME, "prefers": "a", "repeat": false, "first": "b",
     "heard_s": {"a": 3.1, "b": 4.0}, "took_s": 12.5, "at": SECONDS}

A line is written by one call and synced before it is answered for. Killed at any moment, the file
holds whole lines and at most one that was never answered for; that is cut off when it is opened
again. Who withdraws is taken out of the file: it is written anew without their lines.
"""

import fcntl
import json
import os
import pathlib
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any

from jen1composer.errors import BadInput
from jen1composer.serving.store import NotFound
from jen1composer.training.files import sync_folder, write_whole

CONSENT = 1  # the version of the text that listeners agree to
MOST_LISTENERS = 10_000

Line = Mapping[str, Any]


class Answers:
    """The answers of one test; used by one process at a time, from any of its threads."""

    def __init__(self, path: pathlib.Path):
        """Opens or begins the file; raises BadInput where it is damaged or in use."""
        self._path, self._turn = path, threading.Lock()
        self._in_use = path.with_name(f'{path.name}.lock').open('w')
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._in_use.close()
            raise BadInput(f'{path}: another process uses it; allowed is one at a time') from error
        text = path.read_text() if path.exists() else ''
        whole = text[: text.rfind('\n') + 1]
        if whole != text:
            write_whole(path, whole.encode())
        self._lines: dict[str, list[Line]] = {}
        for line in read_lines(path):
            self._lines.setdefault(line['listener'], []).append(line)

    def close(self) -> None:
        self._in_use.close()

    def __enter__(self) -> 'Answers':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def begin(self) -> str:
        """The code of a new listener, who has agreed; nobody can guess it."""
        with self._turn:
            if len(self._lines) >= MOST_LISTENERS:
                raise BadInput(f'listeners: {len(self._lines)}; allowed are {MOST_LISTENERS}')
            listener = secrets.token_hex(8)
            self._add(listener, {'consent': CONSENT})
            return listener

    def of(self, listener: str) -> list[Line]:
        """The answers of a listener, the first trial first; raises NotFound."""
        with self._turn:
            if listener not in self._lines:
                raise NotFound
            return self._lines[listener][1:]

    def add(self, listener: str, trial: int, answer: Line) -> bool:
        """Writes the answer to a trial if that is the next one; returns whether it was."""
        with self._turn:
            if listener not in self._lines:
                raise NotFound
            if trial != len(self._lines[listener]) - 1:
                return False
            self._add(listener, {'trial': trial, **answer})
            return True

    def withdraw(self, listener: str) -> None:
        """Takes all lines of a listener out of the file; raises NotFound."""
        with self._turn:
            if listener not in self._lines:
                raise NotFound
            kept = [line for line in read_lines(self._path) if line['listener'] != listener]
            text = ''.join(f'{json.dumps(line)}\n' for line in kept)
            write_whole(self._path, text.encode())
            sync_folder(self._path.parent)
            del self._lines[listener]

    def _add(self, listener: str, what: Line) -> None:
        line = {'listener': listener, **what, 'at': round(time.time(), 3)}
        with self._path.open('ab', buffering=0) as file:
            file.write(f'{json.dumps(line)}\n'.encode())
            os.fsync(file.fileno())
        self._lines.setdefault(listener, []).append(line)


def read_lines(path: pathlib.Path) -> list[Line]:
    """All whole lines of the file, none where there is no file; raises BadInput for a damaged one.

    The answers of a listener come after their consent, trial by trial.
    """
    if not path.exists():
        return []
    text = path.read_text()
    lines: list[Line] = []
    following: dict[str, int] = {}
    for number, line in enumerate(text[: text.rfind('\n') + 1].splitlines(), 1):
        try:
            found = json.loads(line)
            trial = found.get('trial', -1)
            in_order = trial == following.get(found['listener'], -1)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput(f'{path}: line {number} is no answer ({error})') from error
        if not in_order:
            raise BadInput(f'{path}: line {number} is out of order; needed is the file as written')
        following[found['listener']] = trial + 1
        lines.append(found)
    return lines
