"""The demo's music: a stretch of a song not trained on, and what the composer makes beside it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.loudness import rms_db
from data_pipeline.records import RATE, Prepared
from data_pipeline.songs import ACTIVE_DB, Song
from jen1composer.errors import BadInput
from jen1composer.generation.composer import Composer, Take
from jen1composer.generation.request import Edit, Request
from jen1composer.tracks import SAMPLE_RATE, Role
from launch import command
from launch.pieces import write_piece, write_takes

GIVEN = ('bass', 'drums')  # of the test song
TARGETS = ('instrument', 'melody')  # made to go with them
ALONE = ('drums',)
HOLE = (0.35, 0.65)  # shares of the stretch, made anew in all tracks
KEPT = 0.4  # share that is continued


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stretch:
    """A stretch of a song: its true stems."""

    song: Song
    start_s: int
    stems: np.ndarray  # [track, sample, 2]


def choose_stretch(prepared: Prepared, given: Sequence[str], num_samples: int) -> Stretch:
    """The stretch of the first test song in which most is heard, the earliest of equals.

    Whole seconds are looked at: first how many of the `given` tracks sound in every one of them,
    then how many of the others do. Raises BadInput where there is no test song.
    """
    songs = prepared.songs('test')
    if not songs:
        raise BadInput(f'{prepared.folder}: holds no test song; prepare more songs')
    song = songs[0]
    stems = prepared.read(song, 0, song.num_records * RATE)
    seconds = stems.reshape(len(stems), song.num_records, RATE, 2)
    active = np.array([[rms_db(second) > ACTIVE_DB for second in stem] for stem in seconds])
    length = min(-(-num_samples // RATE), song.num_records)
    windows = np.lib.stride_tricks.sliding_window_view(active, length, axis=1)
    throughout = np.all(windows, axis=2)  # [track, start]
    weights = np.array([len(active) if track in given else 1 for track in prepared.tracks])
    start_s = int(np.argmax(weights @ throughout))
    return Stretch(
        song=song, start_s=start_s, stems=prepared.read(song, start_s * RATE, num_samples)
    )


def make_pieces(
    out: epath.PathLike,
    composer: Composer,
    stretch: Stretch,
    *,
    prompt: str,
    seed: int,
    num_steps: int,
) -> dict[str, dict[str, Any]]:
    """Writes seven folders under `out`; returns for each what its `piece.json` says.

    joint: all four tracks. accompaniment: TARGETS, given the stretch's GIVEN. alone: ALONE, with
    the others marginalised. inpainted: the stretch, its HOLE made anew in every track. continued:
    its beginning, KEPT, and what comes after. original: the stretch. decoded: the stretch out of
    the autoencoder, which is the best that any composer on top of it could sound.
    """
    out = epath.Path(out)
    tracks = composer.spec.tracks
    seconds = stretch.stems.shape[1] / SAMPLE_RATE
    stems = dict(zip(tracks, stretch.stems, strict=True))
    begin_s, end_s = (share * seconds for share in HOLE)
    mended = {
        name: Edit(audio=stem, regenerate=((begin_s, end_s),)) for name, stem in stems.items()
    }
    begun = {name: Edit(audio=stem[: round(KEPT * len(stem))]) for name, stem in stems.items()}
    asked: Mapping[str, Mapping[str, Any]] = {
        'joint': {'prompt': prompt},
        'accompaniment': {
            'prompt': stretch.song.prompts[0],
            'targets': TARGETS,
            'given': {name: stems[name] for name in GIVEN},
        },
        'alone': {'prompt': prompt, 'targets': ALONE},
        'inpainted': {'prompt': stretch.song.prompts[0], 'edits': mended},
        'continued': {'prompt': stretch.song.prompts[0], 'edits': begun},
    }
    facts = {}
    for name, what in command.progress(asked.items(), 'pieces', total=len(asked)):
        request = Request(**what, seconds=seconds, seed=seed, num_steps=num_steps)
        facts[name] = write_piece(out / name, composer.compose(request), request)

    about = {
        'song': stretch.song.title,
        'start_s': stretch.start_s,
        'prompt': stretch.song.prompts[0],
    }
    latents = composer.codec.encode(stretch.stems[None])
    decoded = composer.codec.decode(latents)[0, :, : stretch.stems.shape[1]]
    for name, sounds in (('original', stretch.stems), ('decoded', decoded)):
        takes = {
            track: Take(role=Role.CONDITION, audio=sounds[k], latents=latents[0, k])
            for k, track in enumerate(tracks)
        }
        facts[name] = write_takes(out / name, takes, about)
    return facts
