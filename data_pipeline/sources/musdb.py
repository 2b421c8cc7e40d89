"""The source 'musdb:DIR': MUSDB18-HQ or MUSDB18, 150 songs of four stems.

1. Layout. MUSDB18-HQ has a folder a song, `{train,test}/<Artist - Title>/{bass,drums,other,
   vocals}.wav`; MUSDB18 has a container a song, `{train,test}/<Artist - Title>.stem.mp4`, with
   sound streams 0 to 4: the mixture and these four in the order of STREAMS. The mixture is not
   read: here the mix is the sum of the stems.
2. Roles: vocals is melody, other is instrument.
3. Splits: train and test as given. A validation split is not part of the data set.

Rafii et al. (2017), The MUSDB18 corpus for music separation.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etils import epath

from data_pipeline import audio, containers
from data_pipeline.sources import files, listing
from data_pipeline.sources.source import RECIPE, AudioFile, Entry, constants
from jen1composer.errors import BadInput

SPLITS = ('train', 'test')
TRACKS_OF = {'bass': 'bass', 'drums': 'drums', 'other': 'instrument', 'vocals': 'melody'}
STREAMS = {'drums': 1, 'bass': 2, 'other': 3, 'vocals': 4}
SUFFIX = '.stem.mp4'
# 'other' is everything else, which is no name for a prompt.
INSTRUMENTS = {'bass': ['bass'], 'drums': ['drums'], 'melody': ['vocals']}


@dataclass(frozen=True, kw_only=True)
class Musdb:
    """The source 'musdb:DIR'.

    Attributes:
        folder: DIR.
    """

    folder: str

    name = 'musdb'
    sha256 = staticmethod(files.sha256)
    load = staticmethod(files.load)

    @property
    def settings(self) -> Mapping[str, object]:
        """What the loader does."""
        return {'recipe': RECIPE, 'tracks': TRACKS_OF, **constants(files, audio, containers)}

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a song, by split and name; with `num_songs` spread over the splits."""
        root = listing.open_root(self.name, self.folder)
        present = [split for split in SPLITS if (root / split).is_dir()]
        if not present:
            raise BadInput(
                f'--source={self.name}:{self.folder}: no folder {" or ".join(SPLITS)} in it; give '
                'the folder of MUSDB18 or MUSDB18-HQ'
            )
        places = [(split, path) for split in present for path in _songs(root / split)]
        chosen = listing.take(places, num_songs, self.folder)
        return [
            listing.describe(place, f'{place[0]}-{title(place[1])}', read_song) for place in chosen
        ]


def title(path: epath.Path) -> str:
    """'Artist - Title' of a song's folder or container."""
    return path.name.removesuffix(SUFFIX)


def read_song(entry: Entry) -> Entry:
    """The entry with its four stems. Raises BadInput, naming it, where a file is missing."""
    path = epath.Path(entry.where)
    found = dict(_stem_files(path))
    name = listing.text(title(path))
    artist, dash, song = name.partition(' - ')
    tags = {'instruments': INSTRUMENTS} | ({'artist': artist, 'song': song} if dash else {})
    stems = {TRACKS_OF[stem]: [file] for stem, file in found.items()}
    return dataclasses.replace(listing.with_files(entry, stems, tags), title=name)


def _songs(folder: epath.Path) -> list[epath.Path]:
    return [p for p in listing.children(folder) if p.is_dir() or p.name.endswith(SUFFIX)]


def _stem_files(path: epath.Path) -> Iterator[tuple[str, AudioFile]]:
    if not path.is_dir():
        for stem, stream in STREAMS.items():
            yield stem, AudioFile(path=str(path), stream=stream)
        return
    for stem in TRACKS_OF:
        file = path / f'{stem}.wav'
        if not file.exists():
            raise BadInput(
                f'{file}: missing; needed are {", ".join(f"{s}.wav" for s in TRACKS_OF)}'
            )
        yield stem, AudioFile(path=str(file))
