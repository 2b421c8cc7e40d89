"""The errors that a person can do something about; each is one line, without a traceback."""

from typing import Any


class BadInput(ValueError):
    """Input that is refused: one line that names the file or flag, the value and what is allowed.

    Commands print the line and exit with status 2; what is neither this nor `RunFailed` is a bug
    and keeps its traceback.
    """


class RunFailed(RuntimeError):
    """Work that cannot go on: one line that says what happened; commands exit with status 1."""


def require(ok: bool, name: str, value: Any, allowed: str) -> None:
    """Raises BadInput, `name: value; allowed is/are ...`, unless `ok`."""
    if not ok:
        raise BadInput(f'{name}: {value!r}; allowed {allowed}')
