"""Two folders of sound, whoever made them: what is in them, and what is measured of it.

(1) A folder that holds `mix.*`, or a sound named after a track, is one piece: its other sounds are
    its stems, and where there is no mix it is their sum. Every other sound is a piece of its own.
(2) A piece is named by its path below the folder that is given, without an ending.
(3) Its prompt is what stands in `prompt.txt`, or under `prompt` in `piece.json`, in its folder; of
    a sound of its own in a text of its name beside it.
(4) Stems are heard of the tracks that every piece of both folders has.
(5) Noise is white, as long as a reference and of its root mean square, drawn by (seed, the number
    of the reference, the number of the sound in it).
(6) Pieces of one name in both folders are a pair: what is generated has a log-mel distance to its
    reference, over the time that both last. So has noise.

A sound that was measured is not measured again while its files stay, so an interrupted run goes on.
"""

import concurrent.futures
import dataclasses
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from etils import epath

from data_pipeline.audio import FORMATS, read_audio, read_bytes
from jen1composer.errors import BadInput
from jen1composer.evaluation.cells import Cell, cell
from jen1composer.evaluation.log_mel import log_mel, log_mel_distance
from jen1composer.evaluation.measuring import Ears, hear_mix, hear_stem
from jen1composer.tracks import SAMPLE_RATE, TRACKS
from launch import command

MIX = 'mix'
REFERENCES, GENERATED, NOISE = 'references', 'generated', 'noise'
SHORTEST_S = 0.5
FEWEST = 2  # pieces: an interval is over them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Equations (1) to (3); `files` by track, and of the mix where it has one."""

    name: str
    files: Mapping[str, epath.Path]
    prompt: str = ''

    @property
    def stems(self) -> list[str]:
        return [name for name in self.files if name != MIX]

    def read(self, sound: str) -> np.ndarray:
        """Float32 `[sample, 2]` at 48 kHz of a track or of the mix.

        Raises BadInput, naming the file, for what is no sound or too short to be measured.
        """
        if sound == MIX and MIX not in self.files:
            stems = [self.read(stem) for stem in self.stems]
            mix = np.zeros((max(map(len, stems)), 2), np.float32)
            for stem in stems:
                mix[: len(stem)] += stem
            return mix
        audio = read_audio(self.files[sound])
        if len(audio) < SHORTEST_S * SAMPLE_RATE:
            raise BadInput(
                f'{self.files[sound]}: {len(audio) / SAMPLE_RATE:.2f} s long; allowed are '
                f'{SHORTEST_S} s and more'
            )
        return audio

    def sha256(self, sound: str) -> list[str]:
        """Of the files that `sound` is read from."""
        names = [sound] if sound in self.files else self.stems
        return [hashlib.sha256(read_bytes(self.files[name])).hexdigest() for name in names]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folders:
    """What is compared; `sounds` are the mix and the tracks of (4)."""

    references: Sequence[Piece]
    generated: Sequence[Piece]
    sounds: tuple[str, ...]
    seed: int

    @property
    def pairs(self) -> Mapping[str, Piece]:
        """References by name, those of (6)."""
        names = {piece.name for piece in self.generated}
        return {piece.name: piece for piece in self.references if piece.name in names}


Measured = Mapping[str, Mapping[str, Sequence[Cell]]]  # by side and sound, of every piece


def open_folders(references: epath.PathLike, generated: epath.PathLike, seed: int) -> Folders:
    """Raises BadInput where one is no folder, or holds fewer than two pieces."""
    sides = [
        find_pieces(epath.Path(folder), flag)
        for flag, folder in (('--references', references), ('--generated', generated))
    ]
    every = [set(piece.stems) for side in sides for piece in side]
    tracks = sorted(set.intersection(*every))
    return Folders(references=sides[0], generated=sides[1], sounds=(MIX, *tracks), seed=seed)


def find_pieces(folder: epath.Path, flag: str) -> list[Piece]:
    """Equations (1) to (3), in the order of their names."""
    if not folder.is_dir():
        raise BadInput(f'{flag}={folder}: is no folder; allowed is a folder of sounds')
    of_folders: dict[epath.Path, list[epath.Path]] = {}
    for path in _sounds_below(folder):
        of_folders.setdefault(path.parent, []).append(path)
    found: list[Piece] = []
    for place, paths in of_folders.items():
        names = [path.stem for path in paths]
        double = next((path for path in paths if names.count(path.stem) > 1), None)
        if double is not None:
            raise BadInput(f'{double}: there are several {double.stem} beside it; allowed is one')
        if {MIX, *TRACKS} & set(names):
            name = '/'.join(place.relative_to(folder).parts) or place.name
            files = dict(zip(names, paths, strict=True))
            found.append(Piece(name=name, files=files, prompt=_prompt_in(place)))
            continue
        for path in paths:
            name = '/'.join((*place.relative_to(folder).parts, path.stem))
            prompt = _text(path.with_suffix('.txt'))
            found.append(Piece(name=name, files={MIX: path}, prompt=prompt))
    if len(found) < FEWEST:
        raise BadInput(
            f'{flag}={folder}: {len(found)} pieces in {", ".join(FORMATS)}; needed are {FEWEST} '
            'and more, since intervals are over pieces'
        )
    return sorted(found, key=lambda piece: piece.name)


def measure_folders(folders: Folders, ears: Ears, out: epath.Path) -> Measured:
    """Every sound of the references, of what is generated, and of noise."""
    sides = {
        REFERENCES: folders.references,
        GENERATED: folders.generated,
        NOISE: folders.references,
    }
    work = [
        (side, sound, number)
        for side, pieces in sides.items()
        for number in range(len(pieces))
        for sound in folders.sounds
    ]

    def measure(task: tuple[str, str, int]) -> Cell:
        side, sound, number = task
        piece, place = sides[side][number], (number, folders.sounds.index(sound))
        truth = {REFERENCES: None, GENERATED: folders.pairs.get(piece.name), NOISE: piece}[side]
        decided = {
            'sound': [side, sound, piece.name],  # two threads never measure one cell
            'ears': ears.fingerprint,
            'files': piece.sha256(sound),
            'truth': None if truth is None else truth.sha256(sound),
            'noise': [folders.seed, *place] if side == NOISE else None,
        }

        def hear() -> Cell:
            audio = piece.read(sound)
            if side == NOISE:
                audio = white(audio, np.random.default_rng((folders.seed, *place)))
            row = hear_mix(audio, ears.embedder) if sound == MIX else hear_stem(audio, ears)
            if truth is None:
                return Cell(*row)
            other = truth.read(sound)
            both = min(len(audio), len(other))
            apart = log_mel_distance(log_mel(other[:both]), log_mel(audio[:both]))
            return Cell({**row[0], 'log_mel_db': apart}, row[1])

        return cell(out, 'sound', decided, hear)

    found: dict[str, dict[str, list[Cell]]] = {
        side: {sound: [] for sound in folders.sounds} for side in sides
    }
    # The first piece compiles what the threads then use.
    first = [measure(task) for task in work[: len(folders.sounds)]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        rest = pool.map(measure, work[len(first) :])
        cells = command.progress(itertools.chain(first, rest), 'measured', total=len(work))
        for (side, sound, _), measured in zip(work, cells, strict=True):
            found[side][sound].append(measured)
    return found


def white(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Equation (5) for a sound `[sample, 2]`."""
    level = np.sqrt(np.mean(np.square(audio, dtype=np.float64)))
    return np.float32(level) * rng.standard_normal(audio.shape, np.float32)


def _sounds_below(folder: epath.Path) -> Iterator[epath.Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith('.'):
            continue
        if path.is_dir():
            yield from _sounds_below(path)
        elif path.suffix.lower() in FORMATS:
            yield path


def _prompt_in(place: epath.Path) -> str:
    path = place / 'piece.json'
    if not path.exists():
        return _text(place / 'prompt.txt')
    try:
        return str(json.loads(path.read_text())['prompt'] or '')
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f'{path}: says no prompt ({error}); mend or remove it') from error


def _text(path: epath.Path) -> str:
    try:
        return ' '.join(path.read_text().split()) if path.exists() else ''
    except (OSError, ValueError) as error:
        raise BadInput(f'{path}: no text that can be read ({error})') from error
