"""An evaluation as one page: what can be said, tables, charts, and the sounds of a few excerpts."""

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import write_flac
from jen1composer.evaluation import systems
from jen1composer.evaluation.figures import interval_chart, spectrogram_png
from jen1composer.evaluation.page import Chart, Page, Piece, Sound
from jen1composer.evaluation.sounds import Sounds
from jen1composer.evaluation.systems import Excerpt
from jen1composer.evaluation.verdicts import Verdict
from jen1composer.training.files import write_whole
from launch import command
from launch.evaluation_report import WORDS, distance_chart, tables, verdict_table

HEARD = 3  # excerpts
COMPARED = (
    'Compared are: the songs themselves; the same encoded and decoded, which is the best that this '
    'autoencoder allows; all tracks made at once; each track made for the true others given; each '
    'made alone, by who cannot listen; for each track the training stem whose song is nearest by '
    'prompt, and the true stem of another song, which are real but cannot fit but by chance; white '
    'noise as loud as the true stem; and noise decoded. Half of the songs beside the other half is '
    'what real music comes to.'
)
PLAYED = (
    systems.ORIGINAL,
    systems.DECODED,
    systems.JOINT,
    systems.EACH,
    systems.ALONE,
    systems.RETRIEVAL,
    systems.SHUFFLED,
    systems.DECODED_NOISE,
)


def make_page(
    scores: Mapping[str, Any], verdicts: Sequence[Verdict], about: str, pieces: Sequence[Piece]
) -> Page:
    return Page(
        title='JEN-1 Composer, evaluated',
        paragraphs=[about, COMPARED],
        verdicts=[verdict_table(verdicts)],
        tables=tables(scores),
        charts=charts(scores),
        charts_title='Distances and differences',
        pieces=pieces,
        music_title='To hear',
        music_text='Evenly chosen excerpts. Under “made for the others given” each stem was made '
        'for the three true others, so only one of them is new in what was measured; the mix is '
        'of all four, which have not heard each other.',
        music_last=True,
    )


def charts(scores: Mapping[str, Any]) -> list[Chart]:
    """Fréchet distances of every track and of mixes; what `each` has over its rivals."""
    found = []
    for track, of_systems in scores['frechet'].items():
        shown = {
            WORDS[name]: of['interval']
            for name, of in of_systems.items()
            if name in WORDS and 'interval' in of
        }
        halves = of_systems['other_half']['distance']
        text = f'; half of the songs are {halves:.2f} from the other half'
        found.append(distance_chart(track, shown, 'songs', text))
    rows = {
        f'{measure}: {WORDS[name]}': of
        for measure in ('together', 'rhythm', 'harmony')
        for name, of in scores['coherence'][measure]['each_minus'].items()
        if of is not None
    }
    found.append(
        Chart(
            title='Coherence over that of others',
            text='Made for the given tracks, minus what is named; right of 0 it goes with them '
            'better. Rhythm is of bass and drums, harmony of the other pairs.',
            svg=interval_chart(
                list(rows),
                list(rows.values()),
                x_label='difference of correlation',
                alt='Differences of coherence with intervals',
            ),
        )
    )
    return found


def write_pieces(sounds: Sounds, excerpts: Sequence[Excerpt], tracks: Sequence[str]) -> list[Piece]:
    """Mixes and spectrograms of a few excerpts; the stems lie there already."""
    chosen = [excerpts[int((k + 0.5) * len(excerpts) / HEARD)] for k in range(HEARD)]
    work = [(excerpt, system) for excerpt in dict.fromkeys(chosen) for system in PLAYED]
    pieces = []
    for excerpt, system in command.progress(work, 'spectrograms'):
        stems = {track: sounds.read(system, excerpt.name, track) for track in tracks}
        mix: np.ndarray = functools.reduce(operator.add, stems.values())
        folder = epath.Path('sounds') / system / excerpt.name
        write_flac(sounds.folder / folder / 'mix.flac', mix / max(1.0, float(np.abs(mix).max())))
        for name, audio in {'mix': mix, **stems}.items():
            write_whole(sounds.folder / folder / f'{name}.png', spectrogram_png(audio))
        pieces.append(
            Piece(
                title=f'{excerpt.song}, from second {excerpt.start_s}: {WORDS[system]}',
                text=f'Prompt: “{excerpt.prompt}”' if system == systems.ORIGINAL else '',
                sounds=[
                    Sound(
                        label=name.capitalize(),
                        file=f'{folder}/{name}.flac',
                        picture=f'{folder}/{name}.png',
                        whole_width=name == 'mix',
                    )
                    for name in ('mix', *tracks)
                ],
            )
        )
    return pieces
