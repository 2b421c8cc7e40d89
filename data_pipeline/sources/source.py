"""What a source of songs is: a fixed list of entries, each loaded by itself.

`prepare` knows nothing else of where music comes from. Sources and entries travel to worker
processes, so both are picklable; loading depends on nothing but the two.

A source's settings go into each song's recipe: with other settings a song is made again. They hold
every constant of the modules that make it (`constants`), so none is forgotten, and RECIPE, to be
raised with any change of code that changes songs and that no constant tells of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from jen1composer.harmony import ChordChange

RECIPE = 2


@dataclass(frozen=True, kw_only=True)
class AudioFile:
    """A sound file, or stream number `stream` of a container of several."""

    path: str
    stream: int | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A song that can be loaded.

    Attributes:
        id: unique within the source, a valid file name.
        title: for people.
        where: the file or folder that errors name.
        tracks: those that have material, as far as is known before loading.
        split: 'train', 'validation' or 'test' where the data set says so, else ''.
        files: of each track, to be summed; empty where a song is rendered.
        tags: what is known of the music before it is loaded, see `Material`.
        captions: what a person wrote about it.
        score: a MIDI file in time with the files, '' where there is none: tempo, key and beats.
        broken: why the song cannot be made, '' where nothing is known against it. It stays listed
            so that it is counted and named; hashing and loading raise BadInput with this line.
    """

    id: str
    title: str
    where: str
    tracks: tuple[str, ...]
    split: str = ''
    files: Mapping[str, tuple[AudioFile, ...]] = field(default_factory=dict)
    tags: Mapping[str, object] = field(default_factory=dict)
    captions: tuple[str, ...] = ()
    score: str = ''
    broken: str = ''


def entry_from_json(value: Mapping[str, Any]) -> Entry:
    """An entry as `dataclasses.asdict` gave it to JSON."""
    files = {
        track: tuple(AudioFile(**file) for file in of_track)
        for track, of_track in value['files'].items()
    }
    lists = {key: tuple(value[key]) for key in ('tracks', 'captions')}
    return Entry(**{**value, **lists, 'files': files})


@dataclass(frozen=True, kw_only=True)
class Material:
    """A loaded song.

    Attributes:
        stems: float32 `[track, sample, 2]` at 48 kHz in the order of TRACKS; no sample of a stem or
            of their sum lies outside [-1, 1].
        tags: JSON values about the music: 'bpm' (float), 'key' ('F# minor'), 'instruments' ({track:
            [name, ...]}), 'genre' and 'mood' ([word, ...]), and others that prompts do not use.
        captions: what a person wrote about it; they win over prompts composed from the tags.
        beats_s: when each beat falls, in seconds, where the source knows; None has it measured.
        chords: where chords change (`harmony`), where the source knows; None has them heard.
    """

    stems: np.ndarray
    tags: Mapping[str, object]
    captions: tuple[str, ...] = ()
    beats_s: tuple[float, ...] | None = None
    chords: tuple[ChordChange, ...] | None = None


def constants(*modules: ModuleType) -> dict[str, str]:
    """All constants of the modules as Python writes them, by 'module.NAME'."""
    return {
        f'{module.__name__.rpartition(".")[2]}.{name}': repr(value)
        for module in modules
        for name, value in vars(module).items()
        if name.isupper()
    }


class Source(Protocol):
    """Where songs come from."""

    @property
    def name(self) -> str:
        """As the user wrote it after `--source=`, without a folder."""

    @property
    def settings(self) -> Mapping[str, object]:
        """JSON values: all that shapes the songs beside the files that are read."""

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """The songs in a fixed order, or the `num_songs` that the source recommends.

        Raises BadInput if the source cannot be listed, or has fewer songs than asked for.
        """

    def sha256(self, entry: Entry) -> str:
        """A hash of all that the song is made from. Raises BadInput if that cannot be read."""

    def load(self, entry: Entry) -> Material:
        """Reads or renders one song. Raises BadInput if it is broken."""
