"""What a listening test found: from its answers to a table, JSON and a page.

Repeats tell how consistent a listener is and count for nothing else: each pair has one answer a
listener, the first. A listener is consistent in a pair that is repeated where both answers are the
same, whatever side it was on; "no preference" twice is, too. Of answers that prefer something, the
share that prefers what was heard first should be a half.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation.figures import bar_chart
from jen1composer.evaluation.page import Chart, Page, Table, render
from jen1composer.evaluation.preference import krippendorff_alpha, preference, wilson_interval
from jen1composer.serving.listening.answers import read_lines
from jen1composer.serving.listening.prepared import Experiment
from jen1composer.serving.listening.trials import num_repeats
from jen1composer.training.files import write_whole

SCORES = {'a': 0.0, None: 0.5, 'b': 1.0}

Answer = Mapping[str, Any]


def write_report(test: Experiment) -> str:
    """Writes report.json and report.html beside the answers, and returns the table."""
    found = make_report(test)
    write_whole(test.folder / 'report.json', (json.dumps(found, indent=1) + '\n').encode())
    write_whole(test.folder / 'report.html', render(make_page(found)).encode())
    return '\n'.join(f'{name:30}{value}' for name, value in rows(found))


def make_report(test: Experiment) -> dict[str, Any]:
    """All figures as JSON values; those of what nobody answered are None."""
    of_listener: dict[str, list[Answer]] = {}
    for line in read_lines(test.answers):
        answers = of_listener.setdefault(line['listener'], [])
        if 'trial' in line:
            answers.append(line)
    names = [pair['name'] for pair in test.pairs]
    once = {who: [x for x in said if not x['repeat']] for who, said in of_listener.items()}
    scores = np.full((len(once), len(names)), np.nan)
    for row, answers in enumerate(once.values()):
        for answer in answers:
            scores[row, names.index(answer['pair'])] = SCORES[answer['prefers']]
    found = preference(scores, seed=test.seed)
    decided = [x for answers in once.values() for x in answers if x['prefers'] is not None]
    return {
        'a': test.a,
        'b': test.b,
        'seed': test.seed,
        'pairs': len(names),
        'listeners': len(of_listener),
        'listeners_with_answers': sum(map(bool, once.values())),
        'listeners_finished': sum(
            len(said) == len(names) + num_repeats(len(names)) for said in of_listener.values()
        ),
        'preference': None if found is None else dataclasses.asdict(found),
        'krippendorff_alpha': krippendorff_alpha(scores),
        'consistency': share([same for said in of_listener.values() for same in repeated(said)]),
        'first_preferred': share([x['prefers'] == x['first'] for x in decided]),
        'by_pair': [counts(name, column) for name, column in zip(names, scores.T, strict=True)],
        'by_listener': [
            counts(who, row) | {'consistency': share(repeated(of_listener[who]))}
            for who, row in zip(once, scores, strict=True)
        ],
        'loudness': [dict(pair) for pair in test.pairs],
    }


def repeated(answers: Sequence[Answer]) -> list[bool]:
    """Of one listener, for each repeat, whether it was answered as before."""
    before = {answer['pair']: answer['prefers'] for answer in answers if not answer['repeat']}
    return [before[x['pair']] == x['prefers'] for x in answers if x['repeat']]


def share(cases: Sequence[bool]) -> dict[str, float] | None:
    """How many are so, with Wilson's interval; None of none."""
    if not cases:
        return None
    ratio = float(np.mean(cases))
    low, high = wilson_interval(ratio, len(cases))
    return {'ratio': ratio, 'low': low, 'high': high, 'of': len(cases)}


def counts(name: str, scores: np.ndarray) -> dict[str, Any]:
    """How often A, B and neither were preferred."""
    sums = {
        key: int((scores == value).sum()) for key, value in (('a', 0), ('neither', 0.5), ('b', 1))
    }
    given = scores[~np.isnan(scores)]
    return {'name': name, **sums, 'ratio': float(given.mean()) if given.size else None}


def rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The table: what, and how much."""
    table = [
        ('A', found['a']),
        ('B', found['b']),
        ('pairs', str(found['pairs'])),
        ('listeners, finished', f'{found["listeners"]}, {found["listeners_finished"]}'),
    ]
    said = found['preference']
    if said is None:
        return [*table, ('answers', 'none yet')]
    alpha = found['krippendorff_alpha']
    return [
        *table,
        (
            'answers',
            f'{said["answers"]}: A {said["for_a"]}, B {said["for_b"]}, ties {said["ties"]}',
        ),
        ('B over A, ties half', f'{_with_interval(said)}, {said["method"]}'),
        ("Krippendorff's alpha", 'too few answers' if alpha is None else f'{alpha:.3f}'),
        ('the same answer again', _with_interval(found['consistency'])),
        ('preferred what came first', _with_interval(found['first_preferred'])),
    ]


def make_page(found: Mapping[str, Any]) -> Page:
    """The report as a page."""
    header = ('', 'A', 'neither', 'B', 'B over A')
    said = found['preference'] or {'for_a': 0, 'ties': 0, 'for_b': 0}
    heights = (said['for_a'], said['ties'], said['for_b'])
    names = ('A', 'no preference', 'B')
    alt = ', '.join(f'{name}: {height}' for name, height in zip(names, heights, strict=True))
    return Page(
        title='Listening test',
        paragraphs=[
            f'A is {found["a"]}, B is {found["b"]}. Listeners did not know which was which; each '
            'had an order and sides of their own, and both sides of a pair were equally loud.',
        ],
        tables=[
            Table(
                title='In short',
                header=('', 'found'),
                rows=rows(found),
                text='In brackets: 95 % intervals. With several listeners and pairs both are drawn '
                'anew; otherwise it is Wilson’s, which holds for this listener or pair alone. '
                'Alpha is 1 where listeners fully agree and 0 where they agree as by chance.',
            ),
            Table(title='By pair', header=header, rows=_cells(found['by_pair'])),
            Table(title='By listener', header=header, rows=_cells(found['by_listener'])),
        ],
        charts=[
            Chart(
                title='Answers',
                svg=bar_chart(names, heights, y_label='answers', alt=alt),
                text='All first answers of all listeners; repeats are left out.',
            )
        ],
        tables_title='What was found',
        charts_title='At a glance',
    )


def _cells(lines: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    return [
        [
            line['name'],
            *(str(line[key]) for key in ('a', 'neither', 'b')),
            '' if line['ratio'] is None else f'{line["ratio"]:.2f}',
        ]
        for line in lines
    ]


def _with_interval(share: Mapping[str, float] | None) -> str:
    if share is None:
        return 'no answers'
    return f'{share["ratio"]:.3f} ({share["low"]:.3f} to {share["high"]:.3f})'
