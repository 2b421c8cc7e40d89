"""From an evaluation's scores to the tables that are printed and shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation import systems
from jen1composer.evaluation.page import Table
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
    'together': 'together: mean of the next two',
    'rhythm': 'onsets of bass and drums, correlation',
    'harmony': 'pitches of the other pairs, correlation',
    'chroma_cosine': 'pitches of bass and instrument, cosine',
    'irs': 'IRS, unsteadiness of beats, s (less is better)',
    'cbs': 'CBS, share of tracks on a beat',
    'cbd': 'CBD, how far beats are apart (less is better)',
}
LEVELS = {
    'loudness_lufs': ('Loudness, LUFS', 1),
    'silent_share': ('Share of silence', 3),
    'clipped_share': ('Share of clipped samples', 5),
    'log_mel_db': ('Log-mel distance to the true stem, dB', 2),
}


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    return Table(
        title='What can be said',
        header=['', 'figure', '', '95 % interval', ''],
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


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """All of them."""
    return [
        _coherence(scores['coherence']),
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


def _coherence(scores: Mapping[str, Any]) -> Table:
    shown = next(iter(scores.values()))['mean']
    return Table(
        title='Whether tracks go together',
        header=['', *(WORDS[name] for name in shown)],
        rows=[
            [words, *(_interval(scores[measure]['mean'][name], 3) for name in shown)]
            for measure, words in MEASURES.items()
        ],
        text='Means over excerpts, with 95 % intervals over songs. Correlations of strangers are 0 '
        'by chance; cosines and CBD are not. Sounds of one colour correlate in pitch whatever they '
        'play, as two noises do: compare what is made only with answers beside the same tracks.',
    )


def _differences(scores: Mapping[str, Any]) -> Table:
    others = next(iter(scores.values()))['each_minus']
    return Table(
        title='Made for the others given, minus others in its place',
        header=['', *(WORDS[name] for name in others)],
        rows=[
            [words, *(_interval(scores[measure]['each_minus'][name], 3) for name in others)]
            for measure, words in MEASURES.items()
        ],
        text='Excerpt by excerpt, beside the same given tracks.',
    )


def _frechet(scores: Mapping[str, Any]) -> Table:
    tracks = [track for track in scores if track != 'mix']
    names = list(scores[tracks[0]])
    return Table(
        title='Fréchet distance of stems to the true ones',
        header=['', *tracks],
        rows=[
            [WORDS.get(name, name), *(_distance(scores[track].get(name)) for track in tracks)]
            for name in names
        ],
        text=_few(scores[tracks[0]][systems.DECODED]),
    )


def _mixes(scores: Mapping[str, Any]) -> Table:
    return Table(
        title='Fréchet distance of mixes to the true ones',
        header=['', 'distance'],
        rows=[[_mix_words(name), _distance(found)] for name, found in scores.items()],
        text='What is not said to be made or taken from elsewhere is the true track.',
    )


def _prompts(scores: Mapping[str, Any]) -> Table:
    return Table(
        title='CLAP score of mixes: whether they are what their prompts say',
        header=['', 'own prompt', 'more than for the prompts of others'],
        rows=[
            [_mix_words(name), _interval(of['score'], 3), _interval(of['told'], 3)]
            for name, of in scores.items()
        ],
        text='Cosines of sound and words; what heeds no prompt has 0 in the last column.',
    )


def _tags(scores: Mapping[str, Any]) -> Table:
    shown = [name for name in scores if name != 'chance']
    systems_shown = list(scores['all'])
    return Table(
        title='Share of stems that are heard as their own track',
        header=['', *shown],
        rows=[
            [WORDS.get(name, name), *(_interval(scores[of].get(name), 2) for of in shown)]
            for name in systems_shown
        ],
        text='By the tags that musicnn gives them, silent ones left out; by chance '
        f'{scores["chance"]:.2f}.',
    )


def _levels(scores: Mapping[str, Any], quantity: str) -> Table:
    title, digits = LEVELS[quantity]
    names = list(next(iter(scores.values())))
    return Table(
        title=title,
        header=['', *scores],
        rows=[
            [
                WORDS.get(name, name),
                *(_interval(of.get(name, {}).get(quantity), digits) for of in scores.values()),
            ]
            for name in names
        ],
    )


def _mix_words(name: str) -> str:
    system, slash, track = name.partition('/')
    return f'{track}: {WORDS[system]}' if slash else WORDS.get(name, name.replace('_', ' '))


def _few(found: Mapping[str, Any]) -> str:
    samples, width = found['samples'], found['width']
    few = ', fewer than a covariance needs, so it is shrunk' if found['short'] else ''
    return (
        f'Of {samples} windows in {width} dimensions{few}; to be compared within this '
        'table only. An interval corrects for how few songs there are, and may end below the '
        'figure or below 0.'
    )


def _distance(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return '–'
    if 'interval' in found:
        return _interval(found['interval'], 2)
    return f'{found["distance"]:.2f}'


def _interval(found: Sequence[float] | None, digits: int) -> str:
    if found is None:
        return '–'
    mean, low, high = found
    return f'{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'
