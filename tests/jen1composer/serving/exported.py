"""An export of a tiny composer, and a Python that has only what an export needs."""

import hashlib
import importlib.metadata
import pathlib
import re
import subprocess
import sys

from jen1composer.generation.composer import Composer
from jen1composer.serving.export import write_export

RUNTIME_PACKAGES = ('jax', 'numpy', 'flatbuffers', 'safetensors', 'tokenizers', 'soundfile')
CARD = '# card\n'


def write(folder: pathlib.Path, composer: Composer, **settings) -> pathlib.Path:
    write_export(folder, composer, card=lambda sizes: CARD, **settings)
    return folder


def bare_packages(folder: pathlib.Path) -> pathlib.Path:
    """Links in `folder` to all files of `RUNTIME_PACKAGES` and of what they depend on, no others.

    It is what `pip install` of these would bring, optional parts left out.
    """
    wanted, seen = list(RUNTIME_PACKAGES), set()
    folder.mkdir()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other systems, or other Pythons
        for requirement in distribution.requires or ():
            if 'extra ==' not in requirement:
                wanted.append(re.split(r'[^\w.-]', requirement, maxsplit=1)[0].lower())
        for top in {file.parts[0] for file in distribution.files or ()}:
            source = pathlib.Path(str(distribution.locate_file(top))).resolve()
            if top not in ('..', '__pycache__') and source.exists():
                (folder / top).unlink(missing_ok=True)
                (folder / top).symlink_to(source)
    return folder


def run_bare(packages: pathlib.Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    """Runs `script` in an isolated Python that finds the standard library and `packages` alone."""
    code = f'import sys; sys.path.append({str(packages)!r}); {script}'
    return subprocess.run(
        [sys.executable, '-I', '-S', '-c', code, *arguments],
        cwd=packages,
        capture_output=True,
        text=True,
        env={'JAX_PLATFORMS': 'cpu', 'HOME': str(packages)},
    )


def sum_again(folder: pathlib.Path) -> None:
    """Writes SHA256SUMS for what is in `folder` now."""
    names = [line.split('  ')[1] for line in (folder / 'SHA256SUMS').read_text().splitlines()]
    sums = [f'{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}' for name in names]
    (folder / 'SHA256SUMS').write_text('\n'.join(sums) + '\n')
