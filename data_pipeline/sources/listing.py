"""How sources that read a folder list their songs; one that is broken stays listed, as broken.

A *place* is (split, path): a song's folder or file, and 'train', 'validation' or 'test' where the
data set says so, else ''.
"""

import collections
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence

from etils import epath

from data_pipeline.sources.source import AudioFile, Entry
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

MAX_ID = 100  # Letters; a file system allows 255 bytes, with what is put behind the id.
MAX_NAME = 200  # Bytes, of the 255.

Place = tuple[str, epath.Path]


def open_root(source: str, folder: str) -> epath.Path:
    """The folder that `--source=SOURCE:FOLDER` names. Raises BadInput if there is none."""
    root = epath.Path(folder)
    if not root.is_dir():
        raise BadInput(f'--source={source}:{folder}: no such folder; give a folder of songs')
    return root


def children(folder: epath.Path) -> list[epath.Path]:
    """What is in a folder, by name, without hidden files. Raises BadInput if it is unreadable."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith('.'))
    except OSError as error:
        raise BadInput(
            f'{folder}: cannot be listed ({error.strerror}); needed is a folder'
        ) from error


def subfolders(folder: epath.Path) -> list[epath.Path]:
    """The folders in a folder, by name, without hidden ones."""
    return [path for path in children(folder) if path.is_dir()]


def take(places: Sequence[Place], num_songs: int | None, folder: str) -> list[Place]:
    """All places, or `num_songs` of them in their order, spread over the splits as the whole is.

    Of a data set without splits these are the first. Raises BadInput if there are not that many.
    """
    if num_songs is None:
        return list(places)
    if num_songs > len(places):
        raise BadInput(f'--songs={num_songs}: {folder} has {len(places)}; allowed is 1 to that')
    sizes = collections.Counter(split for split, _ in places)
    seen: collections.Counter[str] = collections.Counter()
    quantiles = []
    for k, (split, _) in enumerate(places):
        quantiles.append(((seen[split] + 0.5) / sizes[split], k))
        seen[split] += 1
    return [places[k] for k in sorted(k for _, k in sorted(quantiles)[:num_songs])]


def describe(place: Place, name: str, read: Callable[[Entry], Entry]) -> Entry:
    """The entry of a place: what `read` makes of the bare one, or that one with why it is broken.

    Args:
        place: split and path.
        name: unique within the source; the id follows from it.
        read: gets an entry with id, title, where and split; raises BadInput for a broken song.
    """
    split, path = place
    bare = Entry(id=song_id(name), title=text(path.name), where=str(path), tracks=(), split=split)
    try:
        return read(bare)
    except BadInput as error:
        return dataclasses.replace(bare, broken=str(error))
    except OSError as error:  # Such as a folder that may be listed but not entered.
        why = f'{path}: cannot be read ({error.strerror}); needed is the whole song'
        return dataclasses.replace(bare, broken=why)


def with_files(
    entry: Entry, files: Mapping[str, Sequence[AudioFile]], tags: Mapping[str, object]
) -> Entry:
    """The entry with the files of each track, and the tags. Raises BadInput if there are none."""
    kept = {track: tuple(files[track]) for track in TRACKS if files.get(track)}
    if not kept:
        raise BadInput(f'{entry.where}: no stems; needed is at least one')
    return dataclasses.replace(entry, files=kept, tracks=tuple(kept), tags=dict(tags))


def file_name(name: str, where: str) -> str:
    """`name` from metadata, if a file can be called so.

    Raises BadInput, naming `where`, for one that would lead to another folder, or is too long.
    """
    if not name.strip('.') or re.search(r'[/\\\0]', name) or len(os.fsencode(name)) > MAX_NAME:
        short = name if len(name) <= 60 else f'{name[:57]}...'
        raise BadInput(
            f'{where}: {short!r} is no name of a file in its folder; allowed are up to {MAX_NAME} '
            'bytes without / and \\'
        )
    return name


def text(name: str) -> str:
    """A file name for people: bytes that are no text become a replacement character."""
    return os.fsencode(name).decode(errors='replace')


def song_id(name: str) -> str:
    """A short file name, safe everywhere; where it differs from `name`, a hash keeps it unique."""
    safe = re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:MAX_ID].strip('-.')
    if safe == name:
        return name
    return f'{safe}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}'
