"""A listening test on disk: what it consists of, and its sounds as they are heard.

    OUT/test.json           the folders, the seed, each pair with its loudness and gains
    OUT/sounds/K.a.flac     pair K, side a, at the pair's loudness; 48 kHz, 24 bits, without tags
    OUT/answers.jsonl       see `answers`

test.json is written last, so where it is the sounds are whole. A folder that holds another test is
refused: answers to two tests in one file would be answers to neither.
"""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from jen1composer.errors import BadInput
from jen1composer.generation.stems import encode_sound
from jen1composer.serving.listening.pairs import SIDES, Pair, find_pairs, read_pair
from jen1composer.tracks import SAMPLE_RATE
from jen1composer.training.files import write_whole

TEST, SOUNDS, ANSWERS = 'test.json', 'sounds', 'answers.jsonl'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """A prepared test.

    Attributes:
        folder: OUT.
        a, b: the folders that are compared, as they were given.
        seed: of orders and sides.
        pairs: of each its `name`; by side `loudness_lufs` before, `gain_db`, `source_sha256`.
    """

    folder: pathlib.Path
    a: str
    b: str
    seed: int
    pairs: tuple[dict[str, Any], ...]

    @property
    def answers(self) -> pathlib.Path:
        return self.folder / ANSWERS

    def sound(self, pair: int, side: str) -> pathlib.Path:
        """The file of a side, 'a' or 'b', of a pair."""
        return self.folder / SOUNDS / f'{pair}.{side}.flac'


def open_experiment(folder: pathlib.Path) -> Experiment:
    """What was prepared in a folder; raises BadInput where nothing was."""
    path = folder / TEST
    try:
        said = json.loads(path.read_text())
        pairs = tuple(dict(pair) for pair in said['pairs'])
        return Experiment(folder=folder, a=said['a'], b=said['b'], seed=said['seed'], pairs=pairs)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'--out={folder}: no listening test ({error}); begin one with --a and --b'
        ) from error


def prepare(
    folder: pathlib.Path,
    a: str,
    b: str,
    *,
    limit: int | None,
    seed: int,
    progress: Callable[[list[Pair]], Iterable[Pair]],
) -> Experiment:
    """Prepares the test, or opens it where the folder holds it already.

    Raises BadInput for what `find_pairs` and `read_pair` refuse, and for a folder of another test.
    """
    found = find_pairs(pathlib.Path(a), pathlib.Path(b), limit, seed)
    if (folder / TEST).exists():
        test = open_experiment(folder)
        names = [pair['name'] for pair in test.pairs]
        if (test.a, test.b, test.seed, names) != (a, b, seed, [pair.name for pair in found]):
            raise BadInput(
                f'--out={folder}: holds a test of {len(names)} pairs of {test.a} and {test.b}, '
                f'seed {test.seed}; allowed is the same one, or another folder'
            )
        return test
    (folder / SOUNDS).mkdir(parents=True, exist_ok=True)
    pairs: list[dict[str, Any]] = []
    test = Experiment(folder=folder, a=a, b=b, seed=seed, pairs=())
    for index, pair in enumerate(progress(found)):
        said: dict[str, Any] = {'name': pair.name}
        for side, heard in zip(SIDES, read_pair(pair), strict=True):
            write_whole(test.sound(index, side), encode_sound(heard.audio, SAMPLE_RATE, 'flac'))
            lufs = heard.loudness_lufs
            said[side] = {
                'loudness_lufs': None if lufs is None else round(lufs, 2),
                'gain_db': round(heard.gain_db, 2),
                'source_sha256': heard.source_sha256,
            }
        pairs.append(said)
    test = dataclasses.replace(test, pairs=tuple(pairs))
    said = {'a': a, 'b': b, 'seed': seed, 'pairs': pairs}
    write_whole(folder / TEST, (json.dumps(said, indent=1) + '\n').encode())
    return test
