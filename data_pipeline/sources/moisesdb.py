"""The source 'moisesdb:DIR': MoisesDB, 240 songs of many stems, each of one or more sound files.

1. Layout. `moisesdb_v0.1/<uuid>/data.json` and `<stemName>/<track id>.<extension>`; DIR is that
   folder or the one that holds it. The JSON names song, artist, genre and the stems, each with its
   tracks. A stem may be named twice; lengths and rates vary.
2. Click tracks are dropped. A file that the JSON names and that is missing makes the song broken.
3. Roles: bass is bass; drums and percussion are drums; vocals are melody, and where there are none,
   synth leads; everything else is instrument.

Pereira et al. (2023), MoisesDB: a dataset for source separation beyond 4-stems.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etils import epath

from data_pipeline import audio, containers
from data_pipeline.sources import files, listing
from data_pipeline.sources.metadata import read_json, value
from data_pipeline.sources.source import RECIPE, AudioFile, Entry, constants
from jen1composer.errors import BadInput

VERSION_FOLDER = 'moisesdb_v0.1'
TRACKS_OF = {'bass': 'bass', 'drums': 'drums', 'percussion': 'drums', 'vocals': 'melody'}
CLICK = 'click track'
LEAD = 'synth lead'


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One sound file of a song: the stem it belongs to, what plays in it, and where it is."""

    stem: str
    kind: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Moisesdb:
    """The source 'moisesdb:DIR'.

    Attributes:
        folder: DIR.
    """

    folder: str

    name = 'moisesdb'
    sha256 = staticmethod(files.sha256)
    load = staticmethod(files.load)

    @property
    def settings(self) -> Mapping[str, object]:
        """The rules for roles, and what the loader does."""
        rules = {'tracks': TRACKS_OF, 'click': CLICK, 'lead': LEAD}
        return {'recipe': RECIPE, **rules, **constants(files, audio, containers)}

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a song's folder, by name; with `num_songs` the first of them."""
        root = listing.open_root(self.name, self.folder)
        if (root / VERSION_FOLDER).is_dir():
            root = root / VERSION_FOLDER
        places = [('', path) for path in listing.subfolders(root)]
        chosen = listing.take(places, num_songs, self.folder)
        return [listing.describe(place, place[1].name, read_song) for place in chosen]


def read_song(entry: Entry) -> Entry:
    """The entry with the files of a song's folder. Raises BadInput where they are not whole."""
    path = epath.Path(entry.where) / 'data.json'
    record = read_json(path)
    recordings = [r for r in _recordings(path, record) if CLICK not in (r.stem, r.kind)]
    sung = any(r.stem == 'vocals' for r in recordings)
    found: dict[str, list[AudioFile]] = {}
    heard: dict[str, list[str]] = {}
    for recording in recordings:
        lead = recording.kind == LEAD and not sung
        track = 'melody' if lead else TRACKS_OF.get(recording.stem, 'instrument')
        found.setdefault(track, []).append(AudioFile(path=recording.path))
        name = instrument(recording)
        if name not in heard.setdefault(track, []):
            heard[track].append(name)
    tags: dict[str, object] = {'instruments': heard}
    if 'artist' in record:
        tags['artist'] = value(record, 'artist', str, str(path))
    if 'genre' in record:
        tags['genre'] = [value(record, 'genre', str, str(path))]
    title = value(record, 'song', str, str(path)) if 'song' in record else entry.title
    return dataclasses.replace(listing.with_files(entry, found, tags), title=title)


def instrument(recording: Recording) -> str:
    """What plays, in words for a prompt: the kind without its examples, else the stem's name.

    'violin (solo)' is 'violin'; 'other (vocoder, beatboxing etc)' of vocals is 'vocals'.
    """
    name = recording.kind.partition('(')[0].strip()
    return recording.stem.replace('_', ' ') if name.startswith('other') or not name else name


def _recordings(path: epath.Path, record: object) -> Iterator[Recording]:
    """The sound files that data.json at `path` names, each of which must be there."""
    for stem in value(record, 'stems', list, str(path)):
        name = value(stem, 'stemName', str, f'{path}: a stem')
        for track in value(stem, 'tracks', list, f'{path}: {name}'):
            texts = {
                key: value(track, key, str, f'{path}: {name}: a track')
                for key in ('id', 'trackType', 'extension')
            }
            kind = texts['trackType'].lower()
            inside = listing.file_name(name, str(path))
            file_name = f'{texts["id"]}.{texts["extension"].lstrip(".")}'
            file = path.parent / inside / listing.file_name(file_name, str(path))
            if CLICK not in (name, kind) and not file.exists():
                raise BadInput(f'{file}: missing, but data.json names it; needed is the file')
            yield Recording(stem=name, kind=kind, path=str(file))
