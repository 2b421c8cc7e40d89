"""The source 'stems:DIR': any folder of songs, one folder a song, one sound file a stem.

1. A file's track follows from its name by rules, the first that matches: a regular expression and
   the track, or None for a file that is left out. A file that no rule names makes its song broken
   rather than incomplete. The rules come from a config (`configs/prepare.py`); by default

       fullmix, mix, mixture, mixdown, master  left out: the mix is the sum of the stems
       drum; perc where a word begins or ends  drums
       bass (but not bassoon)                  bass
       melody, vocal, voice; lead likewise     melody
       everything else                         instrument

   So 'kickdrum', 'synthlead' and 'percussion' are what they say; 'misleading', 'superclean' and
   'percy' are nothing of the kind.

2. The expressions see the words of a name, of letters, lower case, with single spaces: 'Song - Mix
   2' and 'full_mix' are mixes, and so is 'drum mix'; 'remix guitar' is an instrument.
3. Files may lie in the song's folder or in a folder inside it, one level deep; the name of that
   folder counts as part of theirs, so `song/drums/kick.wav` is drums. Files that lie elsewhere, in
   DIR itself or deeper, are left out, and each folder of them is listed as a broken song is.
4. `prompt.txt` in a song's folder, if there, holds its captions, one a line.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from etils import epath

from data_pipeline import audio, containers
from data_pipeline.audio import FORMATS
from data_pipeline.sources import files, listing
from data_pipeline.sources.metadata import captions
from data_pipeline.sources.source import RECIPE, AudioFile, Entry, constants
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

Rule = tuple[str, str | None]

# As in configs/prepare.py, which a test holds equal.
RULES: tuple[Rule, ...] = (
    (r'\b(full)?(mix|mixture|mixdown|master)\b', None),
    (r'drum|\bperc(?![ehiy])|perc\b', 'drums'),
    (r'bass(?!oon)', 'bass'),
    (r'melody|vocal|voice|\blead|lead\b', 'melody'),
    (r'', 'instrument'),
)
PROMPT_FILE = 'prompt.txt'


def checked_rules(rules: Iterable[Sequence[str | None]]) -> tuple[Rule, ...]:
    """The rules as pairs; raises BadInput, naming `--config.roles`, for one that makes no sense."""
    checked: list[Rule] = []
    for rule in rules:
        where = f'--config.roles: {rule!r}'
        if isinstance(rule, str) or not isinstance(rule, Sequence) or len(rule) != 2:
            raise BadInput(f'{where}; allowed are pairs: regular expression, track or None')
        pattern, track = rule
        if track is not None and track not in TRACKS:
            raise BadInput(
                f'{where}: unknown track {track!r}; allowed are {", ".join(TRACKS)}, or None for '
                'files to leave out'
            )
        try:
            if not isinstance(pattern, str):
                raise TypeError(f'{pattern!r} is no text')
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise BadInput(f'{where}: {error}; allowed is a regular expression') from error
        checked.append((pattern, track))
    if not checked:
        raise BadInput('--config.roles: no rules; needed is at least one')
    return tuple(checked)


def track_of(name: str, rules: Sequence[Rule], where: str) -> str | None:
    """The track of a file by its name without suffix; None for one that is left out.

    Raises BadInput, naming `where`, if no rule matches.
    """
    words = ' '.join(re.findall(r'[^\W\d_]+', name.lower()))
    for pattern, track in rules:
        if re.search(pattern, words):
            return track
    raise BadInput(f'{where}: no rule of --config.roles names its track; add one for {words!r}')


@dataclass(frozen=True, kw_only=True)
class Stems:
    """The source 'stems:DIR'.

    Attributes:
        folder: DIR.
        rules: (regular expression, track or None), see the module.
    """

    folder: str
    rules: tuple[Rule, ...] = RULES

    name = 'stems'
    sha256 = staticmethod(files.sha256)
    load = staticmethod(files.load)

    def __post_init__(self) -> None:
        object.__setattr__(self, 'rules', checked_rules(self.rules))

    @property
    def settings(self) -> Mapping[str, object]:
        """The rules, and what the loader does."""
        return {
            'recipe': RECIPE,
            'rules': [list(rule) for rule in self.rules],
            **constants(files, audio, containers),
        }

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a subfolder, by name; with `num_songs` the first of them."""
        root = listing.open_root(self.name, self.folder)
        places = [('', path) for path in listing.subfolders(root)]
        chosen = listing.take(places, num_songs, self.folder)
        entries = [listing.describe(place, place[1].name, self._read) for place in chosen]
        # Asked for N songs, N come.
        lost = misplaced(root) if num_songs is None else ()
        return entries + [
            listing.describe(('', path), path.relative_to(root).as_posix(), _misplaced)
            for path in lost
        ]

    def _read(self, entry: Entry) -> Entry:
        folder = epath.Path(entry.where)
        found: dict[str, list[AudioFile]] = {}
        heard: dict[str, list[str]] = {}
        for path in sound_files(folder):
            inside = path.parent.name if path.parent != folder else ''
            track = track_of(f'{inside} {path.stem}', self.rules, str(path))
            if track is not None:
                found.setdefault(track, []).append(AudioFile(path=str(path)))
                name = re.sub(r'[\W_]+', ' ', listing.text(path.stem)).strip().lower()
                heard.setdefault(track, []).append(name)
        if not found:
            raise BadInput(f'{folder}: no stems; needed is at least one of {", ".join(FORMATS)}')
        described = listing.with_files(entry, found, {'instruments': heard})
        return dataclasses.replace(described, captions=captions(folder / PROMPT_FILE))


def sound_files(folder: epath.Path) -> list[epath.Path]:
    """The sound files in a folder and in the folders inside it, not deeper, by name.

    A link to nothing is among them, so that its song is broken rather than incomplete.
    """
    shallow = listing.children(folder)
    deep = [path for inner in shallow if inner.is_dir() for path in listing.children(inner)]
    return [path for path in (*shallow, *deep) if _is_sound(path.name) and not path.is_dir()]


def misplaced(root: epath.Path) -> Iterator[epath.Path]:
    """The first sound file of each folder whose files belong to no song: DIR, and the deep ones."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith('.'))
        depth = len(epath.Path(folder).relative_to(root).parts)
        sounds = [name for name in names if _is_sound(name) and not name.startswith('.')]
        if sounds and depth not in (1, 2):
            yield epath.Path(folder) / min(sounds)


def _is_sound(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in FORMATS


def _misplaced(entry: Entry) -> Entry:
    raise BadInput(
        f'{entry.where}: in no song, as is each sound file beside it; allowed are DIR/SONG/FILE '
        'and DIR/SONG/FOLDER/FILE'
    )
