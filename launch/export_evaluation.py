"""What launch.evaluate found of a composer, for the model card of its export."""

import json
from collections.abc import Sequence
from typing import Any

from etils import epath

from jen1composer.errors import BadInput
from jen1composer.evaluation.page import Table
from jen1composer.evaluation.verdicts import Verdict
from jen1composer.generation.composer import Composer
from jen1composer.serving.weight_quality import with_weights
from launch.evaluation_report import tables, verdict_table
from launch.evaluation_run import fingerprint


def read_evaluation(
    folder: epath.PathLike, composer: Composer, forms: Sequence[str]
) -> dict[str, Any]:
    """`report.json` of an evaluation of this composer, in float32 or one of `forms`.

    Raises BadInput where it is missing or of another composer.
    """
    path = epath.Path(folder) / 'report.json'
    try:
        report = json.loads(path.read_text())
        evaluated = report['question']['composer']
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f'--evaluation={folder}: holds no report ({error}); allowed is an --out of '
            'launch.evaluate'
        ) from error
    if evaluated not in {
        fingerprint(composer),
        *(fingerprint(with_weights(composer, form)) for form in forms),
    }:
        raise BadInput(f'--evaluation={folder}: of another composer; allowed is one of this')
    return dict(report)


def as_section(report: dict[str, Any]) -> str:
    """The report in Markdown, for the card."""
    question = report['question']
    verdicts = [
        Verdict(**found | {'interval': tuple(found['interval'])}) for found in report['verdicts']
    ]
    shown = [verdict_table(verdicts), *tables(report)]
    scale = question['sampling']['text_guidance']  # None: the default at that time
    guided = f' with a scale of {scale:g} on the prompt' if scale is not None else ''
    return (
        f'## Evaluation\n\n{len(question["excerpts"])} excerpts of held-out songs '
        f'({" and ".join(question["splits"])}), made anew in {question["sampling"]["num_steps"]} '
        f'steps{guided} and heard by {report["embedder"]["name"]}; 95 % intervals over songs. '
        'How each figure is made stands in `jen1composer/evaluation`; all of them are in '
        '`evaluation.json`.\n\n' + '\n'.join(map(_markdown, shown))
    )


def _markdown(table: Table) -> str:
    rows = [table.header, ['---'] * len(table.header), *table.rows]
    lines = ''.join('| ' + ' | '.join(row) + ' |\n' for row in rows)
    note = f'\n{table.text}\n' if table.text else ''
    return f'### {table.title}\n\n{lines}{note}'
