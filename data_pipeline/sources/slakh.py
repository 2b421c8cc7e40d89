"""The source 'slakh:DIR': Slakh2100, 2,100 songs rendered from MIDI, a sound file a stem.

1. Layout. `{train,validation,test}/TrackXXXXX`, or the original one with the tracks side by side,
   which are then split by number: 1 to 1500, 1501 to 1875, 1876 to 2100. In a track's folder are
   `metadata.yaml`, `stems/SXX.flac` (or .wav) and, as a rule, `all_src.mid`: tempo and beats.
2. Stems that the metadata say were not rendered are skipped; one that was and is missing makes the
   song broken.
3. Roles: `is_drum` is drums, class Bass is bass. Of the rest one at most is the melody, that whose
   program most readily leads (`roles.lead_weight`, at least MIN_LEAD: synth leads; brass, reeds and
   pipes; solo strings and voices), of equal ones the loudest. Everything else is instrument.

Manilow et al. (2019), Cutting music source separation some Slakh; CC BY 4.0.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etils import epath

from data_pipeline import audio, containers
from data_pipeline.sources import files, listing, roles
from data_pipeline.sources.general_midi import PROGRAMS
from data_pipeline.sources.metadata import read_yaml, value
from data_pipeline.sources.source import RECIPE, AudioFile, Entry, constants
from jen1composer.errors import BadInput

LAST_NUMBERS = {'train': 1500, 'validation': 1875, 'test': 2100}
TRACK_NAME = re.compile(r'Track(\d{5})')
SUFFIXES = ('.flac', '.wav')
MIN_LEAD = 0.6


@dataclass(frozen=True, kw_only=True)
class Slakh:
    """The source 'slakh:DIR'.

    Attributes:
        folder: DIR.
    """

    folder: str

    name = 'slakh'
    sha256 = staticmethod(files.sha256)
    load = staticmethod(files.load)

    @property
    def settings(self) -> Mapping[str, object]:
        """The rules for roles, and what the loader does."""
        rules = {'lead_families': repr(roles.LEAD_FAMILIES), 'min_lead': MIN_LEAD}
        return {'recipe': RECIPE, **rules, **constants(files, audio, containers)}

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a track's folder, by split and number."""
        root = listing.open_root(self.name, self.folder)
        places = [
            (split, path)
            for split in LAST_NUMBERS
            if (root / split).is_dir()
            for path in _track_folders(root / split)
        ] or [(split_of(path.name), path) for path in _track_folders(root)]
        if not places:
            raise BadInput(
                f'--source={self.name}:{self.folder}: no folders Track00001 and so on, there or in '
                f'{", ".join(LAST_NUMBERS)}; give the folder of Slakh2100'
            )
        chosen = listing.take(places, num_songs, self.folder)
        return [
            listing.describe(place, f'{place[0]}-{place[1].name}'.lstrip('-'), read_track)
            for place in chosen
        ]


def split_of(name: str) -> str:
    """The split of a track of the original layout by its folder's name; '' outside 1 to 2100."""
    match = TRACK_NAME.fullmatch(name)
    number = int(match[1]) if match else 0
    splits = (split for split, last in LAST_NUMBERS.items() if 1 <= number <= last)
    return next(splits, '')


def read_track(entry: Entry) -> Entry:
    """The entry with the files of a track's folder. Raises BadInput where they are not whole."""
    folder = epath.Path(entry.where)
    path = folder / 'metadata.yaml'
    stems = value(read_yaml(path), 'stems', dict, str(path))
    rendered = {
        str(name): stem
        for name, stem in stems.items()
        if value(stem, 'audio_rendered', bool, f'{path}: {name}')
    }
    programs = {
        name: value(stem, 'program_num', int, f'{path}: {name}') for name, stem in rendered.items()
    }
    found: dict[str, list[AudioFile]] = {}
    heard: dict[str, list[str]] = {}
    for name, track in assign_tracks(rendered, programs, str(path)).items():
        found.setdefault(track, []).append(AudioFile(path=_stem_file(folder, name)))
        drums, program = rendered[name]['is_drum'], programs[name]
        instrument = 'drums' if drums or program not in range(128) else PROGRAMS[program]
        heard.setdefault(track, [])
        if instrument not in heard[track]:
            heard[track].append(instrument)
    score = folder / 'all_src.mid'
    described = listing.with_files(entry, found, {'instruments': heard})
    return dataclasses.replace(described, score=str(score) if score.exists() else '')


def assign_tracks(
    stems: Mapping[str, Any], programs: Mapping[str, int], where: str
) -> dict[str, str]:
    """The track of each rendered stem, by name; see the module. `where` is for errors."""
    tracks: dict[str, str] = {}
    leads: list[tuple[float, float, str]] = []
    for name, stem in sorted(stems.items()):
        if value(stem, 'is_drum', bool, f'{where}: {name}'):
            tracks[name] = 'drums'
        elif value(stem, 'inst_class', str, f'{where}: {name}') == 'Bass':
            tracks[name] = 'bass'
        else:
            tracks[name] = 'instrument'
            loudness = stem.get('integrated_loudness')
            known = isinstance(loudness, int | float) and abs(loudness) < 1000  # No NaN either.
            loudness = float(loudness) if known else float('-inf')
            leads.append((-roles.lead_weight(programs[name]), -loudness, name))
    if leads and -min(leads)[0] >= MIN_LEAD:
        tracks[min(leads)[-1]] = 'melody'
    return tracks


def _track_folders(folder: epath.Path) -> list[epath.Path]:
    return [path for path in listing.subfolders(folder) if TRACK_NAME.fullmatch(path.name)]


def _stem_file(folder: epath.Path, name: str) -> str:
    listing.file_name(name, str(folder / 'metadata.yaml'))
    paths = [folder / 'stems' / f'{name}{suffix}' for suffix in SUFFIXES]
    for path in paths:
        if path.exists():
            return str(path)
    raise BadInput(f'{paths[0]}: missing, but metadata.yaml has it as rendered; needed is the file')
