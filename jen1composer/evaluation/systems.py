"""What is heard and compared: systems make stems, mixes lay stems of systems together.

An *excerpt* is a stretch of a song, of one window, in which all tracks sound. A *system* has for
every excerpt a stem of some tracks:

    original       the true stems
    decoded        the same, encoded and decoded: the best that any composer here could sound
    joint          all tracks made at once
    each           each track made for the others given, K times one target
    alone          each track made with the others marginalised: by who cannot listen
    for_<given>    the other tracks made at once for the given ones, of one or two tracks and more
    retrieval      stems of the training excerpt nearest by prompt: real, fitting, deaf
    shuffled       true stems of other excerpts, each track's of another song
    training       stems of training songs, which stand for no excerpt
    noise          white, as loud as the true stem
    decoded_noise  what the decoder makes of white latents

A *mix* is a name and the system of each track. `each/drums` is the drums of `each` beside the true
other tracks, and so are `alone/drums`, `retrieval/drums`, `shuffled/drums`, `decoded/drums`: one
task, five answers, which are told apart by whether they go with the tracks that were given.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

ORIGINAL, DECODED, JOINT, EACH, ALONE = 'original', 'decoded', 'joint', 'each', 'alone'
RETRIEVAL, SHUFFLED, NOISE, DECODED_NOISE = 'retrieval', 'shuffled', 'noise', 'decoded_noise'
TRAINING = 'training'
ANSWERS = (EACH, DECODED, ALONE, RETRIEVAL, SHUFFLED)  # of one track, beside the true others
BASELINES = (ORIGINAL, DECODED, RETRIEVAL, SHUFFLED, NOISE, DECODED_NOISE)  # that no composer made
WHOLE = (ORIGINAL, DECODED, JOINT, ALONE, SHUFFLED, NOISE, DECODED_NOISE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A stretch of a song, and what is asked for in its stead."""

    name: str  # of its folder
    song: str
    start_s: int
    prompt: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a composer is asked to make of an excerpt: the rest is marginalised."""

    system: str
    targets: tuple[str, ...]
    given: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mix:
    """Which system each track comes from."""

    name: str
    sources: Mapping[str, str]


def tasks(tracks: Sequence[str], subsets: bool = False) -> list[Task]:
    """All that a composer makes; with `subsets` every split into given and made, both there.

    One whose given tracks are all but one is `each` already.
    """
    found = [Task(system=JOINT, targets=tuple(tracks))]
    for system, hears in ((EACH, True), (ALONE, False)):
        for track in tracks:
            others = tuple(other for other in tracks if other != track)
            found.append(Task(system=system, targets=(track,), given=others if hears else ()))
    if subsets:
        found += [
            Task(
                system=f'for_{"_".join(given)}',
                targets=tuple(track for track in tracks if track not in given),
                given=given,
            )
            for count in range(1, len(tracks) - 1)
            for given in itertools.combinations(tracks, count)
        ]
    return found


def mixes(tracks: Sequence[str], subsets: bool = False) -> list[Mix]:
    """All that is heard together."""
    found = [Mix(name=system, sources=dict.fromkeys(tracks, system)) for system in WHOLE]
    for task in tasks(tracks, subsets):
        if task.given:
            answers = ANSWERS if task.system == EACH else (task.system,)
            for system in answers:
                sources = dict.fromkeys(task.given, ORIGINAL) | dict.fromkeys(task.targets, system)
                name = f'{system}/{task.targets[0]}' if task.system == EACH else system
                found.append(Mix(name=name, sources={track: sources[track] for track in tracks}))
    return found


def strangers(songs: Sequence[str], num_tracks: int) -> list[tuple[int, ...]]:
    """For each excerpt and track the number of an excerpt of another song, [excerpt][track].

    Songs stand in a ring: the k-th track comes from the song k + 1 places on, so tracks of one
    excerpt are of different songs where there are songs enough, and every song is taken equally
    often. Of several excerpts the one of the same place in its song is taken, as far as there is.

    Raises ValueError where there is but one song.
    """
    ring = list(dict.fromkeys(songs))
    if len(ring) < 2:
        raise ValueError('no stranger: all excerpts are of one song')
    of_song = {song: [n for n, other in enumerate(songs) if other == song] for song in ring}
    found = []
    for number, song in enumerate(songs):
        place = of_song[song].index(number)
        steps = [1 + k % (len(ring) - 1) for k in range(num_tracks)]
        others = [of_song[ring[(ring.index(song) + step) % len(ring)]] for step in steps]
        found.append(tuple(other[place % len(other)] for other in others))
    return found
