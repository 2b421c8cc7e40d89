"""The source 'stems:DIR': any folder of songs, one folder a song, one sound file a stem.

A file's track follows from its name: the first of these rules that matches, else 'instrument'.

    mix, mixture, mixdown, master           ignored: the mix is the sum of the stems
    drum, perc                              drums
    bass (but not bassoon)                  bass
    melody, vocal, lead, voice              melody

The first rule takes whole words, of letters: 'Song - Mix 2' and 'full_mix' are mixes, and so is
'drum mix'; 'remix guitar' is an instrument.

Files of one track are added; shorter files are padded with silence. Levels are left alone, unless
a stem or the sum would pass full scale: then one gain lowers the whole song, and is noted in its
tags. `prompt.txt` in a song's folder, if there, holds its captions, one a line.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from etils import epath

from data_pipeline.audio import FORMATS, read_audio, read_bytes
from data_pipeline.sources.source import RECIPE, Entry, Material
from jen1composer.errors import BadInput
from jen1composer.tracks import TRACKS

RULES = (
    (re.compile(r'\b(full)?(mix|mixture|mixdown|master)\b'), None),
    (re.compile(r'drum|perc'), 'drums'),
    (re.compile(r'bass(?!oon)'), 'bass'),
    (re.compile(r'melody|vocal|lead|voice'), 'melody'),
)
CEILING = 0.999
MAX_ID = 100  # Letters; a file system allows 255 bytes, with what is put behind the id.
PROMPT_FILE = 'prompt.txt'


def track_of(name: str) -> str | None:
    """The track of a file by its name without suffix; None for a mix, which is ignored."""
    words = ' '.join(re.findall(r'[^\W\d_]+', name.lower()))
    return next((track for rule, track in RULES if rule.search(words)), 'instrument')


@dataclass(frozen=True, kw_only=True)
class Stems:
    """The source 'stems:DIR'.

    Attributes:
        folder: DIR.
    """

    folder: str

    name = 'stems'
    settings = {  # noqa: RUF012
        'recipe': RECIPE,
        'rules': [[r.pattern, t] for r, t in RULES],
        'ceiling': CEILING,
    }

    def entries(self, num_songs: int | None) -> Sequence[Entry]:
        """One entry a subfolder, by name; with `num_songs` the first of them."""
        root = epath.Path(self.folder)
        if not root.is_dir():
            raise BadInput(f'--source=stems:{self.folder}: no such folder; give a folder of songs')
        folders = sorted(
            path for path in root.iterdir() if path.is_dir() and not path.name.startswith('.')
        )
        if num_songs is not None and num_songs > len(folders):
            raise BadInput(
                f'--songs={num_songs}: {self.folder} has {len(folders)}; allowed is 1 to that'
            )
        return [
            Entry(
                id=song_id(path.name),
                title=os.fsencode(path.name).decode(errors='replace'),
                where=str(path),
                tracks=tuple(t for t in TRACKS if any(t == k for k, _ in stem_files(path))),
            )
            for path in folders[:num_songs]
        ]

    def sha256(self, entry: Entry) -> str:
        """Of the names and contents of the stems and the prompt."""
        folder = epath.Path(entry.where)
        whole = hashlib.sha256()
        for path in (*(path for _, path in stem_files(folder)), folder / PROMPT_FILE):
            if path.exists():
                content = hashlib.sha256(read_bytes(path)).hexdigest()
                whole.update(os.fsencode(f'{path.name}\n{content}\n'))
        return whole.hexdigest()

    def load(self, entry: Entry) -> Material:
        """Reads, resamples and adds up the files of one song."""
        folder = epath.Path(entry.where)
        files = stem_files(folder)
        if not files:
            raise BadInput(f'{folder}: no stems; needed is at least one of {", ".join(FORMATS)}')
        heard: dict[str, list[str]] = {}
        read: list[tuple[int, np.ndarray]] = []
        for track, path in files:
            heard.setdefault(track, []).append(re.sub(r'[\W_]+', ' ', path.stem).strip().lower())
            read.append((TRACKS.index(track), read_audio(path)))
        longest = max(len(audio) for _, audio in read)
        stems = np.zeros((len(TRACKS), longest, 2), np.float32)
        for k, audio in read:
            stems[k, : len(audio)] += audio
        peak = float(max(np.abs(stems).max(), np.abs(stems.sum(axis=0)).max()))
        if peak == 0:
            raise BadInput(f'{folder}: all stems are silent; needed is one that is not')
        gain = min(1.0, CEILING / peak)
        stems *= np.float32(gain)
        tags = {'instruments': heard, 'gain_db': round(20 * float(np.log10(gain)), 2)}
        return Material(stems=stems, tags=tags, captions=captions(folder / PROMPT_FILE))


def captions(path: epath.Path) -> tuple[str, ...]:
    """What is written about a song, one caption a line; none where there is no file."""
    if not path.exists():
        return ()
    lines = (' '.join(line.split()) for line in read_text(path).splitlines())
    return tuple(line for line in lines if line)


def stem_files(folder: epath.Path) -> list[tuple[str, epath.Path]]:
    """The (track, file) of a song's folder, by name; a mix and files of other kinds left out."""
    named = (
        (track_of(path.stem), path)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in FORMATS and not path.name.startswith('.')
    )
    return [(track, path) for track, path in named if track is not None]


def read_text(path: epath.Path) -> str:
    """The content of a text file; raises BadInput if it is not UTF-8."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise BadInput(f'{path}: not text ({error.reason}); allowed is UTF-8') from error


def song_id(name: str) -> str:
    """A short file name, safe everywhere; where it differs from `name`, a hash keeps it unique."""
    safe = re.sub(r'[^A-Za-z0-9._-]+', '-', name)[:MAX_ID].strip('-.')
    if safe == name:
        return name
    return f'{safe}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}'
