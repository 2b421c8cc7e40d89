"""How often tempo, key and chords are heard as the score has them: songs of Freedoom, rendered.

  python -m tests.data_pipeline.heard [songs]

The key in the score is itself an estimate, from how long each pitch class sounds in all its notes.
"""

import collections
import sys
import time
from collections.abc import Sequence

import numpy as np

from data_pipeline.analysis import analyse
from data_pipeline.chords import heard_chords
from data_pipeline.sources.freedoom import fetch_freedoom
from jen1composer.harmony import NO_CHORD, TONICS, ChordChange, chords_at

OCTAVES = {1.0: 'same', 0.5: 'half', 2.0: 'double'}


def tempo_relation(heard: float | None, written: float) -> str:
    """How a tempo is to that of the score, within 3 %."""
    if heard is None:
        return 'none'
    near = (name for ratio, name in OCTAVES.items() if abs(heard / written / ratio - 1) < 0.03)
    return next(near, 'wrong')


def key_relation(heard: str | None, written: str) -> str:
    """How a key is to that of the score, as key finders are usually judged."""
    if heard is None or heard == written:
        return 'none' if heard is None else 'same'
    (tonic, mode), (other, other_mode) = heard.split(), written.split()
    step = (TONICS.index(tonic) - TONICS.index(other)) % 12
    if step == 0:
        return 'parallel'
    if mode == other_mode:
        return 'fifth' if step in (5, 7) else 'wrong'
    return 'relative' if step == (9 if mode == 'minor' else 3) else 'wrong'


def chord_agreement(
    heard: Sequence[ChordChange], written: Sequence[ChordChange], seconds: float
) -> tuple[float, float]:
    """The shares of time in which chords are the same, and in which they have the same root."""
    times = np.arange(0.05, seconds, 0.1)
    a, b = chords_at(heard, times), chords_at(written, times)
    rooted = (a < NO_CHORD) & (b < NO_CHORD) & (a % 12 == b % 12)
    return float((a == b).mean()), float((rooted | (a == b)).mean())


def main() -> None:
    source = fetch_freedoom()
    tempos, keys = collections.Counter(), collections.Counter()
    minutes = seconds = 0.0
    chords: list[tuple[float, float]] = []
    for entry in source.entries(int(sys.argv[1]) if len(sys.argv) > 1 else None):
        material = source.load(entry)
        mix = material.stems.sum(axis=0)
        begin = time.perf_counter()
        found = analyse(mix)
        if tempos:  # the first call compiles
            seconds += time.perf_counter() - begin
            minutes += len(mix) / 48_000 / 60
        else:
            print(f'first call: {time.perf_counter() - begin:.1f} s')
        tempos[tempo_relation(found.bpm, material.tags['bpm'])] += 1
        keys[key_relation(found.key, material.tags['key'])] += 1
        heard = heard_chords(material.stems, material.beats_s or ())
        chords.append(chord_agreement(heard, material.chords or (), len(mix) / 48_000))
        print(f'{entry.id:24}{material.tags["bpm"]:8}{found.bpm or 0:8}  ', end='')
        print(f'{material.tags["key"]:10}{found.key}', flush=True)
    print(f'tempo {dict(tempos)}')
    print(f'key {dict(keys)}')
    same, root = np.mean(chords, axis=0)
    print(f'chords: the same {same:.2f} of the time, of the same root {root:.2f}')
    print(f'{seconds / minutes:.2f} s a minute of music, {minutes:.0f} min')


if __name__ == '__main__':
    main()
