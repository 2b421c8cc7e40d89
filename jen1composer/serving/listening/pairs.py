"""Pairs of sounds of two folders, brought to one loudness.

(1) A sound's name is its path below its folder, without its ending. Where a folder holds a file
    `mix.*`, that is its sound, named after the folder, and its other files are stems and left out.
(2) What has one name in both folders is a pair.
(3) With L the integrated loudness (BS.1770-4) and P the peak in dB of each side at 48 kHz,

    target = min(-20 LUFS, L_a - P_a - 1, L_b - P_b - 1),   gain = target - L

    so both sides are as loud, none is above -1 dB, and nothing else is done to them. A silent side
    has no gain; the other is as loud as it would be beside one like it.
"""

import dataclasses
import hashlib
import math
import pathlib
from collections.abc import Mapping

import numpy as np

from jen1composer.errors import BadInput, require
from jen1composer.generation.mixdown import loudness
from jen1composer.serving import sound

SIDES = ('a', 'b')
ENDINGS = ('.flac', '.wav', '.ogg', '.mp3', '.aiff', '.aif')
MIX = 'mix'
TARGET_LUFS, PEAK_DB = -20.0, -1.0
MOST_S = 600.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """One name in both folders; `files` are of side a and of side b."""

    name: str
    files: tuple[pathlib.Path, pathlib.Path]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """A sound as it is heard in the test, and what was done to it."""

    audio: np.ndarray  # float32 [sample, 2] at 48 kHz
    loudness_lufs: float | None  # before; None for silence
    gain_db: float
    source_sha256: str


def find_pairs(a: pathlib.Path, b: pathlib.Path, limit: int | None, seed: int) -> list[Pair]:
    """Equations (1) and (2), in the order of their names.

    Args:
        a, b: the folders.
        limit: how many pairs at most, drawn by `seed`; None takes all.

    Raises BadInput where a folder is none, two sounds of one have one name, or nothing pairs.
    """
    sounds = {
        side: sounds_of(folder, f'--{side}') for side, folder in zip(SIDES, (a, b), strict=True)
    }
    names = sorted(sounds['a'].keys() & sounds['b'].keys())
    if not names:
        only = [', '.join(sorted(found)[:3]) or 'nothing' for found in sounds.values()]
        raise BadInput(
            f'--a={a}, --b={b}: no sound has one name in both; there are {only[0]} and {only[1]}; '
            'needed are equal paths, or folders of one name with mix.flac'
        )
    if limit is not None:
        require(limit >= 1, '--pairs', limit, 'is 1 or more')
        drawn = np.random.default_rng((seed, 0)).permutation(len(names))[:limit]
        names = [names[index] for index in sorted(drawn)]
    return [Pair(name=name, files=(sounds['a'][name], sounds['b'][name])) for name in names]


def sounds_of(folder: pathlib.Path, flag: str) -> Mapping[str, pathlib.Path]:
    """Equation (1): file by name."""
    if not folder.is_dir():
        raise BadInput(f'{flag}={folder}: is no folder; allowed is a folder of sounds')
    paths = [
        path
        for path in sorted(folder.rglob('*'))
        if path.suffix.lower() in ENDINGS and path.is_file()
    ]
    mixed = {path.parent for path in paths if path.stem == MIX}
    found: dict[str, pathlib.Path] = {}
    for path in paths:
        if path.parent in mixed and path.stem != MIX:
            continue
        place = path.parent if path.stem == MIX else path.with_suffix('')
        name = place.relative_to(folder).as_posix()
        if name in found:
            raise BadInput(f'{flag}={folder}: {path} and {found[name]} have one name; keep one')
        found[name] = path
    return found


def read_pair(pair: Pair) -> tuple[Side, Side]:
    """Both sides at one loudness, equation (3); raises BadInput for a file that is no sound."""
    audios, digests = [], []
    for path in pair.files:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BadInput(f'{path}: {error.strerror}; allowed is a sound file') from error
        decoded, rate = sound.decode(data, str(path), limit_s=MOST_S)
        audios.append(sound.conform(decoded, rate, str(path)))
        digests.append(hashlib.sha256(data).hexdigest())
    levels = [loudness(audio) for audio in audios]
    target = target_lufs(audios, levels)
    first, second = (
        _side(audio, level, target, digest)
        for audio, level, digest in zip(audios, levels, digests, strict=True)
    )
    return first, second


def target_lufs(audios: list[np.ndarray], levels: list[float | None]) -> float:
    """The target of (3)."""
    reachable = [
        level - 20 * math.log10(float(np.abs(audio).max())) + PEAK_DB
        for audio, level in zip(audios, levels, strict=True)
        if level is not None
    ]
    return min([TARGET_LUFS, *reachable])


def _side(audio: np.ndarray, level: float | None, target: float, digest: str) -> Side:
    gain_db = 0.0 if level is None else target - level
    return Side(
        audio=audio * np.float32(10 ** (gain_db / 20)),
        loudness_lufs=level,
        gain_db=gain_db,
        source_sha256=digest,
    )
