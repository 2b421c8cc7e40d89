"""What a checkpoint's files are, so that one that lost some is known without reading it.

Orbax commits a checkpoint when all of it is written: one whose writer was killed is none. It does
not notice what happens to the files afterwards, in a copy that broke off or on a full disk. So each
checkpoint has a manifest, `manifest.json`, written last before the commit:

    {"permanent": false, "files": {"state/_METADATA": 3289, ...}}    # sizes in bytes

(but for the one file in which Orbax notes the time of the commit).

All who read a checkpoint judge it by these sizes first. That takes no more than a look at each
file, however large, and every host and every reader comes to the same answer. Content that changed
in place is not seen here: reading it fails, or TensorStore's checksums do, and who reads turns to
the one before.
"""

import concurrent.futures
import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from etils import epath

NAME = 'manifest.json'
_COMMITTED_AT = '_CHECKPOINT_METADATA'  # Orbax writes to it after the manifest


class Manifest(NamedTuple):
    permanent: bool  # whether it is kept for ever
    files: Mapping[str, int]  # path in the checkpoint -> bytes


def write_manifest(checkpoint: epath.Path, *, permanent: bool) -> None:
    """Lists what is there now; to be called when nothing more is written but the commit."""
    files = _sizes(checkpoint)
    files.pop(_COMMITTED_AT, None)
    said = Manifest(permanent, files)._asdict()
    (checkpoint / NAME).write_text(json.dumps(said, indent=1, sort_keys=True))


def read_manifest(checkpoint: epath.Path) -> Manifest | None:
    """None where there is none, as before there were any; raises ValueError where it is cut."""
    path = checkpoint / NAME
    return Manifest(**json.loads(path.read_text())) if path.exists() else None


def has_manifest(checkpoint: epath.Path) -> bool:
    return (checkpoint / NAME).exists()


def damage(checkpoint: epath.Path) -> str | None:
    """What is wrong with the files of a checkpoint; None where nothing is, or none are listed."""
    try:
        manifest = read_manifest(checkpoint)
    except (ValueError, TypeError):
        return f'{NAME} is cut'
    if manifest is None:
        return None
    found = _sizes(checkpoint)
    for name, size in manifest.files.items():
        if name not in found:
            return f'{name} is missing'
        if found[name] != size:
            return f'{name} has {found[name]} bytes of {size}'
    return None


def num_bytes(checkpoint: epath.Path) -> int:
    """Of all files that are there."""
    return sum(_sizes(checkpoint).values())


def _sizes(folder: epath.Path) -> dict[str, int]:
    """Files under `folder` by their path in it; a bucket answers many questions at a time."""

    def files(place: epath.Path, name: str) -> Iterator[tuple[str, epath.Path]]:
        for path in place.iterdir():
            if path.is_dir():
                yield from files(path, f'{name}{path.name}/')
            else:
                yield f'{name}{path.name}', path

    found = dict(files(folder, ''))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        sizes = pool.map(lambda path: path.stat().length, found.values())
        return dict(zip(found, sizes, strict=True))
