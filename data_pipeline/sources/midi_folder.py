"""The source 'midi:DIR': every MIDI file in a folder and below, rendered to four stems.

A text file of the same name beside it, `song.txt` beside `song.mid`, holds its captions, one a
line. Hidden files are left out, folders that are links are not entered.
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from etils import epath

from data_pipeline.audio import require_end
from data_pipeline.sources import files, listing, scores
from data_pipeline.sources.metadata import captions
from data_pipeline.sources.midi import Score, read_midi
from data_pipeline.sources.source import Entry, Material
from jen1composer.errors import BadInput

SUFFIXES = ('.mid', '.midi')


@dataclass(frozen=True, kw_only=True)
class MidiFolder:
    """The source 'midi:DIR'.

    Attributes:
        folder: DIR.
        font: the SoundFont; by default the one of the package, downloaded once.
    """

    folder: str
    font: bytes = field(default_factory=scores.fetch_font, repr=False)

    name = 'midi'

    @property
    def settings(self) -> Mapping[str, object]:
        """What shapes a rendered song."""
        return scores.render_settings(self.font)

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a MIDI file, by path; with `num_songs` the first of them."""
        root = listing.open_root(self.name, self.folder)
        places = [('', path) for path in midi_files(root)]
        chosen = listing.take(places, num_songs, self.folder)
        return [
            listing.describe(place, place[1].relative_to(root).as_posix(), _read)
            for place in chosen
        ]

    def sha256(self, entry: Entry) -> str:
        """Of the MIDI file and its captions; the font is in the settings."""
        if entry.broken:
            raise BadInput(entry.broken)
        content = files.file_sha256(entry.where)
        return hashlib.sha256('\n'.join((content, *entry.captions)).encode()).hexdigest()

    def load(self, entry: Entry) -> Material:
        """Renders one song."""
        if entry.broken:
            raise BadInput(entry.broken)
        return scores.perform(self.font, _score(entry), entry)


def midi_files(folder: epath.Path) -> Iterator[epath.Path]:
    """The MIDI files in a folder and below, each folder by name."""
    for path in listing.children(folder):
        if path.is_dir():
            if not os.path.islink(path):  # A link may lead back up.
                yield from midi_files(path)
        elif path.suffix.lower() in SUFFIXES:
            yield path


def _read(entry: Entry) -> Entry:
    described = scores.describe_score(entry, _score(entry))
    path = epath.Path(entry.where)
    return dataclasses.replace(
        described, title=listing.text(path.stem), captions=captions(path.with_suffix('.txt'))
    )


def _score(entry: Entry) -> Score:
    path = epath.Path(entry.where)
    require_end(path)
    try:
        return read_midi(path.read_bytes(), entry.where)
    except OSError as error:
        raise BadInput(f'{path}: cannot be opened; needed is a MIDI file') from error
