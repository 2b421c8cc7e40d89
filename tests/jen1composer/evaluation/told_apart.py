"""How well each measure tells songs from strangers: stems of one song against stems of several.

  python -m tests.jen1composer.evaluation.told_apart DATA [split]

1. Of every song of the split of a prepared folder up to 6 windows of 5.12 s, drawn for the song's
   place alone, in which all tracks are above -50 dB.
2. True: the stems of a window. Shuffled: each stem from a window of another song, all different;
   as many draws as there are windows, twice over.
3. The AUC is the chance that a true one is the better of a true and a shuffled one, ties half.
"""

import sys
from collections.abc import Mapping

import numpy as np

from data_pipeline.records import Prepared
from jen1composer.evaluation.coherence import coherence
from jen1composer.evaluation.rhythm import rhythm
from jen1composer.tracks import SAMPLE_RATE

WINDOW_S = 5.12
WINDOWS_OF_A_SONG = 6
ACTIVE_DB = -50.0
DRAWS = 2
LOWER_IS_BETTER = ('irs', 'cbd')

Stems = Mapping[str, np.ndarray]


def windows(data: Prepared, split: str) -> list[tuple[int, Stems]]:
    """Step 1: the number of a song, its stems."""
    length = round(WINDOW_S * SAMPLE_RATE)
    found = []
    for number, song in enumerate(data.songs(split)):
        begins = np.arange(0, song.num_samples - length, length)
        left = WINDOWS_OF_A_SONG
        for begin in np.random.default_rng((1, number)).permutation(begins):
            audio = data.read(song, int(begin), length)
            level_db = 10 * np.log10(np.square(audio).mean(axis=(1, 2)) + 1e-12)
            if left and (level_db > ACTIVE_DB).all():
                found.append((number, dict(zip(data.tracks, audio, strict=True))))
                left -= 1
    return found


def strangers(true: list[tuple[int, Stems]], index: int) -> Stems:
    """Step 2: a track of each of as many songs as there are tracks."""
    rng = np.random.default_rng((2, index))
    tracks = list(true[0][1])
    songs = rng.permutation(sorted({song for song, _ in true}))[: len(tracks)]
    of_song = {song: [stems for number, stems in true if number == song] for song in songs}
    return {
        track: of_song[song][rng.integers(len(of_song[song]))][track]
        for track, song in zip(tracks, songs, strict=True)
    }


def auc(better: np.ndarray, worse: np.ndarray) -> float:
    """Step 3, where larger is better."""
    above = better[:, None] > worse[None, :]
    return float((above + 0.5 * (better[:, None] == worse[None, :])).mean())


def main() -> None:
    split = sys.argv[2] if len(sys.argv) > 2 else 'test'
    true = windows(Prepared(sys.argv[1]), split)
    together = [coherence(stems) | rhythm(stems) for _, stems in true]
    mixed = [strangers(true, index) for index in range(DRAWS * len(true))]
    apart = [coherence(stems) | rhythm(stems) for stems in mixed]
    print(f'{split}: {len(true)} windows, {len(apart)} of strangers')
    print(f'{"":38}{"true":>8}{"apart":>8}{"AUC":>8}')
    for name in together[0]:
        a, b = (np.array([row[name] for row in rows if row[name] is not None], float)
                for rows in (together, apart))  # fmt: skip
        sign = -1 if name in LOWER_IS_BETTER else 1
        print(f'{name:38}{a.mean():8.3f}{b.mean():8.3f}{auc(sign * a, sign * b):8.3f}')


if __name__ == '__main__':
    main()
