"""Two folders compared as report.json, tables on the terminal, and a page with sounds."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import write_flac
from jen1composer.evaluation.figures import spectrogram_png
from jen1composer.evaluation.measuring import Ears
from jen1composer.evaluation.page import Chart, Page, Piece, Sound, Table, render
from jen1composer.evaluation.sounds import open_sounds
from jen1composer.training.files import write_whole
from launch import command
from launch.evaluation_folders import (
    GENERATED,
    MIX,
    NOISE,
    REFERENCES,
    Folders,
    measure_folders,
    open_folders,
)
from launch.evaluation_folders_scores import FEWEST_FOR_HALVES, HALF, STRANGERS, folder_scores
from launch.evaluation_report import (
    LEVELS,
    MEASURES,
    as_text,
    distance_chart,
    distance_text,
    few_text,
    interval_text,
)

WORDS = {
    GENERATED: 'generated',
    REFERENCES: 'references',
    HALF: 'half of the references to the other half',
    STRANGERS: 'stems of different references',
    NOISE: 'white noise of their level',
}
HEARD = 3


def evaluate_folders(
    references: str, generated: str, out: epath.PathLike, ears: Ears, seed: int
) -> epath.Path:
    """Measures, writes OUT/report.json and OUT/index.html, prints tables; returns the page."""
    folders = open_folders(references, generated, seed)
    question = {'references': references, 'generated': generated, 'seed': seed}
    out = open_sounds(out, question).folder
    measured = measure_folders(folders, ears, out)
    scores = folder_scores(folders, measured, ears)
    report = {
        'question': question,
        'embedder': {'name': ears.embedder.name, 'fingerprint': ears.embedder.fingerprint},
        'pieces': {'references': len(folders.references), 'generated': len(folders.generated)},
        **scores,
    }
    write_whole(out / 'report.json', (json.dumps(report, indent=1) + '\n').encode())
    shown = folder_tables(scores)
    print('\n'.join(map(as_text, shown)))
    about = (
        f'{len(folders.generated)} pieces of {generated} against {len(folders.references)} of '
        f'{references}, {len(folders.pairs)} of the same name, heard by {ears.embedder.name}; '
        f'{"stems of " + ", ".join(folders.sounds[1:]) if folders.sounds[1:] else "no stems"} in '
        'all of them. Intervals are of 95 % over pieces: several of one song make them too narrow, '
        'and stems of different references too near.'
    )
    page = Page(
        title='Generated sound beside references',
        paragraphs=[about],
        tables=shown,
        charts=[_chart(sound, of) for sound, of in scores['frechet'].items()],
        charts_title='Distances',
        pieces=_pieces(folders, out),
        music_title='To hear',
        music_text='Evenly chosen pieces, as they are.',
        music_last=True,
    )
    write_whole(out / 'index.html', render(page).encode())
    return out / 'index.html'


def folder_tables(scores: Mapping[str, Any]) -> list[Table]:
    """All of them."""
    sounds = list(scores['frechet'])
    found = [
        Table(
            title='Fréchet distance to the references',
            header=['', *sounds],
            rows=[
                [words, *(distance_text(scores['frechet'][sound][name]) for sound in sounds)]
                for name, words in WORDS.items()
                if name in scores['frechet'][MIX]
            ],
            text=few_text(scores['frechet'][MIX][GENERATED], 'pieces')
            + f' A half needs {FEWEST_FOR_HALVES} references in all.',
        )
    ]
    if 'coherence' in scores:
        shown = scores['coherence']['together']
        found.append(
            Table(
                title='Whether stems go together',
                header=['', *(WORDS[side] for side in shown)],
                rows=[
                    [words, *(interval_text(scores['coherence'][name][side], 3) for side in shown)]
                    for name, words in MEASURES.items()
                ],
                text='Means over pieces; more is better where it is not said otherwise. '
                'Correlations (-1 to 1) of strangers are 0 by chance; cosines and CBD are not, and '
                'noises correlate in pitch. A dash: such tracks are not in all pieces.',
            )
        )
    if 'tags' in scores:
        columns = [name for name in scores['tags'] if name != 'chance']
        found.append(
            Table(
                title='Share of stems that are heard as their own track',
                header=['', *columns],
                rows=[
                    [
                        WORDS[side],
                        *(interval_text(scores['tags'][of].get(side), 2) for of in columns),
                    ]
                    for side in scores['tags']['all']
                ],
                text='By the tags that musicnn gives, learnt from the references; from 0 to 1, '
                f'more is better, by chance {scores["tags"]["chance"]:.2f}.',
            )
        )
    if scores.get('prompts'):
        found.append(
            Table(
                title='CLAP score: whether pieces are what their prompts say',
                header=['', 'own prompt', 'more than for the prompts of others'],
                rows=[
                    [WORDS[side], interval_text(of['score'], 3), interval_text(of['told'], 3)]
                    for side, of in scores['prompts'].items()
                ],
                text='Cosines of sound and words, -1 to 1, more is better; what heeds no prompt '
                'has 0 in the last column.',
            )
        )
    return found + [_levels(scores['levels'], name) for name in LEVELS if _known(scores, name)]


def _known(scores: Mapping[str, Any], quantity: str) -> bool:
    return any(of[GENERATED][quantity] is not None for of in scores['levels'].values())


def _levels(scores: Mapping[str, Any], quantity: str) -> Table:
    title, digits, text = LEVELS[quantity]
    title = title.replace('true stem', 'reference of the same name')
    text = text.replace('true stem', 'reference').replace('the songs', 'the references')
    return Table(
        title=title,
        header=['', *scores],
        rows=[
            [WORDS[side], *(interval_text(of[side][quantity], digits) for of in scores.values())]
            for side in (GENERATED, REFERENCES, NOISE)
        ],
        text=text,
    )


def _chart(sound: str, distances: Mapping[str, Any]) -> Chart:
    shown = {WORDS[name]: of['interval'] for name, of in distances.items() if of is not None}
    return distance_chart(sound, shown, 'references', '')


def _pieces(folders: Folders, out: epath.Path) -> list[Piece]:
    """Writes a few of either side beside the page."""
    found = []
    for side, pieces in ((GENERATED, folders.generated), (REFERENCES, folders.references)):
        chosen = {int((k + 0.5) * len(pieces) / HEARD): None for k in range(HEARD)}
        for number in command.progress(list(chosen), f'{side} shown'):
            piece, folder = pieces[number], epath.Path('sounds') / side / str(number)
            (out / folder).mkdir(parents=True, exist_ok=True)
            for sound in folders.sounds:
                audio = piece.read(sound)
                peak = max(1.0, float(np.abs(audio).max()))
                write_flac(out / folder / f'{sound}.flac', audio / peak)
                write_whole(out / folder / f'{sound}.png', spectrogram_png(audio))
            found.append(
                Piece(
                    title=f'{piece.name}: {WORDS[side]}',
                    text=f'Prompt: “{piece.prompt}”' if piece.prompt else '',
                    sounds=[
                        Sound(
                            label=sound.capitalize(),
                            file=f'{folder}/{sound}.flac',
                            picture=f'{folder}/{sound}.png',
                            whole_width=sound == MIX,
                        )
                        for sound in folders.sounds
                    ],
                )
            )
    return found
