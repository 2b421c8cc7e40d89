"""Which stretches of prepared songs an evaluation is about.

(1) A song is cut into stretches of one window, side by side, beginning at whole seconds.
(2) One counts if every track in it is above -50 dB.
(3) Songs take turns until there are enough, or no song has another; what a song gives is spread
    evenly over those of its stretches that count.

So the same folder gives the same excerpts, and no song weighs much more than another.
"""

from collections.abc import Sequence

import numpy as np

from data_pipeline.loudness import rms_db
from data_pipeline.records import RATE, Prepared
from data_pipeline.songs import Song
from jen1composer.errors import BadInput, require
from jen1composer.evaluation.systems import Excerpt
from launch import command

SOUNDS_DB = -50.0


def choose_excerpts(
    prepared: Prepared, splits: Sequence[str], num_samples: int, count: int
) -> list[Excerpt]:
    """At most `count` excerpts of the songs of `splits`, ordered by song and time.

    Raises BadInput where fewer than two songs have any: intervals are over songs.
    """
    require(count >= 2, '--excerpts', count, 'are 2 and more')
    songs = [song for split in splits for song in prepared.songs(split)]
    starts = {
        song.id: sounding_starts(prepared, song, num_samples)
        for song in command.progress(songs, 'songs looked at')
    }
    found = {song: at for song, at in starts.items() if at}
    if len(found) < 2:
        raise BadInput(
            f'{prepared.folder}: {len(found)} songs of {" and ".join(splits)} have '
            f'{num_samples / RATE:.2f} s in which all tracks sound; needed are two'
        )
    chosen = shares([len(at) for at in found.values()], count)
    prompts = {song.id: song.prompts[0] if song.prompts else '' for song in songs}
    return [
        Excerpt(name=f'{song}-{start_s:04}', song=song, start_s=start_s, prompt=prompts[song])
        for (song, at), share in zip(found.items(), chosen, strict=True)
        for start_s in spread(at, share)
    ]


def sounding_starts(prepared: Prepared, song: Song, num_samples: int) -> list[int]:
    """Equations (1) and (2): the second where each stretch that counts begins."""
    step_s = -(-num_samples // RATE)
    found = []
    for start_s in range(0, (song.num_samples - num_samples) // RATE + 1, step_s):
        stems = prepared.read(song, start_s * RATE, num_samples)
        if all(rms_db(stem) > SOUNDS_DB for stem in stems):
            found.append(start_s)
    return found


def shares(available: Sequence[int], count: int) -> list[int]:
    """Equation (3): how many each song gives, at most what it has, as equal as can be."""
    given = [0] * len(available)
    while sum(given) < min(count, sum(available)):
        left = [k for k, have in enumerate(available) if given[k] < have]
        fewest = min(left, key=lambda k: (given[k], k))
        given[fewest] += 1
    return given


def spread(values: Sequence[int], count: int) -> list[int]:
    """`count` of `values`, evenly over them."""
    return [values[int((k + 0.5) * len(values) / count)] for k in range(count)]


def read_stems(prepared: Prepared, excerpt: Excerpt, num_samples: int) -> np.ndarray:
    """float32 `[track, sample, 2]`."""
    (song,) = (song for song in prepared.songs() if song.id == excerpt.song)
    return prepared.read(song, excerpt.start_s * RATE, num_samples)
