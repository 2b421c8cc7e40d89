"""From an evaluation's scores to the tables that are printed and shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation import systems
from jen1composer.evaluation.figures import interval_chart
from jen1composer.evaluation.page import Chart, Table
from jen1composer.evaluation.verdicts import Verdict

WORDS = {
    systems.ORIGINAL: 'the songs themselves',
    'other_half': 'half of the songs to the other half',
    systems.TRAINING: 'training songs',
    systems.DECODED: 'the songs, encoded and decoded',
    systems.JOINT: 'made all at once',
    systems.EACH: 'made for the others given',
    systems.ALONE: 'made alone',
    systems.RETRIEVAL: 'nearest training stem',
    systems.SHUFFLED: 'true stem of another song',
    systems.NOISE: 'white noise',
    systems.DECODED_NOISE: 'decoded noise',
}
MEASURES = {
    'together': 'together, mean of the next two',
    'rhythm': 'onsets of bass and drums, correlation',
    'harmony': 'pitches of the other pairs, correlation',
    'chroma_cosine': 'pitches of bass and instrument, cosine',
    'irs': 'IRS, unsteadiness of beats in s (less is better)',
    'cbs': 'CBS, share of tracks on a beat',
    'cbd': 'CBD, how far beats are apart (less is better)',
}
LEVELS = {
    'loudness_lufs': (
        'Loudness, LUFS',
        1,
        'Integrated, BS.1770-4, of what is not silent; what comes near the songs is better.',
    ),
    'silent_share': (
        'Share of silence',
        3,
        'Of tenths of a second, those below -60 dB, from 0 to 1; near the songs is better.',
    ),
    'clipped_share': ('Share of clipped samples', 4, 'At full scale, from 0 to 1; 0 is best.'),
    'log_mel_db': (
        'Log-mel distance to the true stem, dB',
        2,
        'Mean over 128 bands and the frames in which the true stem sounds. Less is nearer to what '
        'was played there, which another good answer need not be.',
    ),
}


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    return Table(
        title='What can be said',
        header=['claim', 'figure that decides', 'value', '95 % interval', 'holds'],
        rows=[
            [
                verdict.claim,
                verdict.figure,
                f'{verdict.interval[0]:.3f}',
                f'{verdict.interval[1]:.3f} to {verdict.interval[2]:.3f}',
                'yes' if verdict.passed else 'no',
            ]
            for verdict in verdicts
        ],
    )


def distance_chart(
    sound: str, distances: Mapping[str, tuple[float, float, float]], to: str, text: str
) -> Chart:
    """Fréchet distances of `sound` (a track, or the mix) to the songs or references, named `to`."""
    return Chart(
        title=f'Fréchet distance, {sound}',
        text=f'Less is better{text}.',
        svg=interval_chart(
            list(distances),
            list(distances.values()),
            x_label=f'distance to the {to}',
            alt=f'Fréchet distances of {sound} with intervals',
            logarithmic=True,
        ),
    )


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """All of them."""
    return [
        *_coherence(scores['coherence']),
        _differences(scores['coherence']),
        _frechet(scores['frechet']),
        _mixes(scores['frechet']['mix']),
        *([_prompts(scores['prompts'])] if 'prompts' in scores else []),
        *([_tags(scores['tags'])] if 'tags' in scores else []),
        *(_levels(scores['levels'], name) for name in LEVELS),
    ]


def as_text(table: Table) -> str:
    """For a terminal, columns aligned."""
    rows = [list(table.header), *map(list, table.rows)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        '  '.join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return '\n'.join([f'\n{table.title}', *lines])


def _coherence(scores: Mapping[str, Any]) -> list[Table]:
    """Of answers to one task, and of mixes that are of one system."""
    shown = list(next(iter(scores.values()))['mean'])
    answers = [name for name in shown if name in systems.ANSWERS]
    return [
        Table(
            title=title,
            header=['', *(WORDS[name] for name in names)],
            rows=[
                [words, *(interval_text(scores[measure]['mean'][name], 3) for name in names)]
                for measure, words in MEASURES.items()
            ],
            text=text,
        )
        for title, names, text in (
            (
                'Whether a track goes with the others, which are true',
                answers,
                'Means over excerpts and tracks, each in turn beside the true others, with 95 % '
                'intervals over songs; more is better where it is not said otherwise. Correlations '
                '(-1 to 1) of strangers are 0 by chance; cosines and CBD are not.',
            ),
            (
                'Whether tracks go together that are all of one kind',
                [name for name in shown if name not in answers],
                'As above, but sounds of one colour correlate in pitch whatever they play, as two '
                'noises do: not to be compared with the table above.',
            ),
        )
    ]


def _differences(scores: Mapping[str, Any]) -> Table:
    others = next(iter(scores.values()))['each_minus']
    return Table(
        title='Made for the others given, minus others in its place',
        header=['', *(WORDS[name] for name in others)],
        rows=[
            [words, *(interval_text(scores[measure]['each_minus'][name], 3) for name in others)]
            for measure, words in MEASURES.items()
        ],
        text='Excerpt by excerpt, beside the same given tracks. Above 0 it goes with them better '
        'than what the column names; of IRS and CBD, below 0.',
    )


def _frechet(scores: Mapping[str, Any]) -> Table:
    tracks = [track for track in scores if track != 'mix']
    return Table(
        title='Fréchet distance of stems to the true ones',
        header=['', *tracks],
        rows=[
            [system_words(name), *(distance_text(scores[track].get(name)) for track in tracks)]
            for name in _systems({track: scores[track] for track in tracks})
        ],
        text=few_text(scores[tracks[0]][systems.DECODED]),
    )


def _mixes(scores: Mapping[str, Any]) -> Table:
    return Table(
        title='Fréchet distance of mixes to the true ones',
        header=['', 'distance'],
        rows=[[_mix_words(name), distance_text(found)] for name, found in scores.items()],
        text='Less is better. A row that begins with a track has that one alone from elsewhere; '
        'where some are given they are the true ones, beside what was made for them. The fewer '
        'tracks are new, the less there is to be far from: compare rows of as many.',
    )


def _prompts(scores: Mapping[str, Any]) -> Table:
    return Table(
        title='CLAP score of mixes: whether they are what their prompts say',
        header=['', 'own prompt', 'more than for the prompts of others'],
        rows=[
            [_mix_words(name), interval_text(of['score'], 3), interval_text(of['told'], 3)]
            for name, of in scores.items()
        ],
        text='Cosines of sound and words, -1 to 1, more is better; what heeds no prompt has 0 in '
        'the last column.',
    )


def _tags(scores: Mapping[str, Any]) -> Table:
    shown = [name for name in scores if name != 'chance']
    systems_shown = list(scores['all'])
    return Table(
        title='Share of stems that are heard as their own track',
        header=['', *shown],
        rows=[
            [system_words(name), *(interval_text(scores[of].get(name), 2) for of in shown)]
            for name in systems_shown
        ],
        text='By the tags that musicnn gives them, silent ones left out; from 0 to 1, more is '
        f'better, by chance {scores["chance"]:.2f}.',
    )


def _levels(scores: Mapping[str, Any], quantity: str) -> Table:
    title, digits, text = LEVELS[quantity]
    return Table(
        title=title,
        header=['', *scores],
        rows=[
            [
                system_words(name),
                *(interval_text(of.get(name, {}).get(quantity), digits) for of in scores.values()),
            ]
            for name in _systems(scores)
        ],
        text=text,
    )


def _systems(by_track: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All that any track is of: a subset's system makes only some."""
    found = dict.fromkeys(name for of in by_track.values() for name in of)
    return sorted(found, key=lambda name: (0, '') if name in WORDS else (name.count('_'), name))


def system_words(name: str) -> str:
    """A system as a row's name: `for_bass_drums` is made for bass and drums given."""
    given = name.removeprefix('for_').replace('_', ' and ')
    return WORDS.get(name, f'made for {given} given')


def _mix_words(name: str) -> str:
    system, slash, track = name.partition('/')
    return f'{track}: {WORDS[system]}' if slash else system_words(name)


def few_text(found: Mapping[str, Any], over: str = 'songs') -> str:
    """What a Fréchet distance is to be read with."""
    samples, width = found['samples'], found['width']
    few = ', fewer than a covariance needs, so it is shrunk' if found['short'] else ''
    return (
        f'Less is better; squared units of the embedding. Of {samples} windows in {width} '
        f'dimensions{few}; to be compared within this table only, since it falls with the number '
        f'of windows, of which a half has half. An interval is over {over}, about the figure, and '
        'may end below 0.'
    )


def distance_text(found: Mapping[str, Any] | None) -> str:
    """With its interval where there is one."""
    if found is None:
        return '–'
    if 'interval' in found:
        return interval_text(found['interval'], 2)
    return f'{found["distance"]:.2f}'


def interval_text(found: Sequence[float] | None, digits: int) -> str:
    """As figure (low to high), which no line break parts within the brackets."""
    if found is None:
        return '–'
    mean, low, high = found
    within = f'({low:.{digits}f} to {high:.{digits}f})'.replace(' ', '\N{NO-BREAK SPACE}')
    return f'{mean:.{digits}f} {within}'
