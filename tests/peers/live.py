"""A recording made now, where there is a Python with the peer's libraries to make it."""

import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


def record(script: str, out: pathlib.Path) -> pathlib.Path:
    """Runs `script` of this folder with the Python that PEER_PYTHON names; returns `out`.

    Skips the test where it names none.
    """
    python = os.environ.get('PEER_PYTHON')
    if not python:
        pytest.skip("PEER_PYTHON names no Python with the peer's libraries")
    subprocess.run([python, str(HERE / script), str(out)], check=True)
    return out
