"""The charts of the demo's page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jen1composer.evaluation.figures import Line, line_chart
from jen1composer.evaluation.page import Chart
from launch.demo_measurements import Validation, curve, training_curve
from launch.task_shares import TaskShares

Rows = Sequence[Mapping[str, Any]]  # of a metrics file


def loss_charts(
    composer_rows: Rows, zero: float, autoencoder_rows: Rows, heldout: Mapping[str, float]
) -> list[Chart]:
    """Both trainings.

    Args:
        composer_rows, autoencoder_rows: their metrics.
        zero: the composer's validation loss if it predicted 0.
        heldout: the autoencoder's report on the validation songs.
    """
    ae_steps, ae_loss = training_curve(autoencoder_rows, 'loss')
    distance_steps, distance = curve(autoencoder_rows, 'validation_log_mel_db')
    ae_ends = [0, max([1, *ae_steps])]
    return [
        Chart(
            title='Composer: loss',
            text='Squared error of the v-prediction: in training on the tasks of the stage, in '
            'validation on those of the last one, text alone, with the average of the weights.',
            svg=composer_curves(composer_rows, zero),
        ),
        Chart(
            title='Autoencoder: training loss',
            text='Spectral losses in training, on single stems.',
            svg=line_chart(
                [Line(label='', x=ae_steps, y=ae_loss)],
                x_label='step',
                y_label='loss',
                alt='Training loss of the autoencoder over its steps',
            ),
        ),
        Chart(
            title='Autoencoder: distance on validation songs',
            text='Log-mel distance of decoded stems to the originals, beside two baselines.',
            svg=line_chart(
                [
                    Line(label='decoded', x=distance_steps, y=distance, marked=True),
                    *(
                        Line(label=label, x=ae_ends, y=[level] * 2, colour=colour, dashed=True)
                        for label, level, colour in (
                            ('decoded noise', heldout['log_mel_db_noise'], 1),
                            ('mean spectrum', heldout['log_mel_db_mean'], 2),
                        )
                    ),
                ],
                x_label='step',
                y_label='distance, dB',
                alt='Log-mel distance of the autoencoder on validation songs over its steps',
            ),
        ),
    ]


def composer_curves(rows: Rows, zero: float | None = None) -> str:
    """A composer's training and validation loss as SVG, with that of a prediction of 0 if given."""
    steps, loss = training_curve(rows, 'loss')
    validation_steps, validation_loss = curve(rows, 'validation_loss')
    lines = [
        Line(label='training', x=steps, y=loss),
        Line(label='validation', x=validation_steps, y=validation_loss, colour=1, marked=True),
    ]
    if zero is not None:
        ends = [0, max([1, *steps])]
        level = [zero] * 2
        lines.append(Line(label='prediction of zero', x=ends, y=level, colour=None, dashed=True))
    return line_chart(
        lines,
        x_label='step',
        y_label='v-loss',
        alt='Training and validation loss of the composer over its steps',
    )


def validation_charts(validation: Validation) -> list[Chart]:
    """The loss by noise level."""
    return [
        Chart(
            title='Composer: validation loss by noise level',
            text='Where it is below the prediction of zero, something is known at that level.',
            svg=line_chart(
                [
                    Line(label='composer', x=validation.times, y=validation.loss, marked=True),
                    Line(
                        label='prediction of zero',
                        x=validation.times,
                        y=validation.zero,
                        colour=None,
                        dashed=True,
                    ),
                ],
                x_label='time t (0 is clean, 1 is noise)',
                y_label='v-loss',
                alt='Validation loss for ten noise levels, beside that of a prediction of zero',
            ),
        )
    ]


def share_charts(shares: TaskShares) -> list[Chart]:
    """What the curriculum drew beside what it was set to."""
    counts = range(len(shares.drawn[0]))
    drawn = [
        Line(
            label=f'{k + 1} track' + ('s' if k else ''),
            x=shares.steps,
            y=[row[k] for row in shares.drawn],
            colour=k % 4,
            marked=True,
        )
        for k in counts
    ]
    wanted = [
        Line(label='', x=shares.steps, y=[row[k] for row in shares.set], colour=k % 4, dashed=True)
        for k in counts
    ]
    given = np.array(shares.given, float)  # None is NaN, which is not drawn
    others = [
        Line(label='given', x=shares.steps, y=given, marked=True),
        Line(
            label='left open',
            x=shares.steps,
            y=1 - given,
            colour=1,
            marked=True,
        ),
        Line(label='', x=shares.steps, y=[shares.p_given] * len(shares.steps), dashed=True),
        Line(
            label='',
            x=shares.steps,
            y=[1 - shares.p_given] * len(shares.steps),
            colour=1,
            dashed=True,
        ),
    ]
    kinds = [
        Line(label=kind, x=shares.steps, y=drawn_of_kind, colour=k, marked=True)
        for k, (kind, drawn_of_kind) in enumerate(shares.kinds.items())
    ]
    kinds_set = [
        Line(label='', x=shares.steps, y=[share] * len(shares.steps), colour=k, dashed=True)
        for k, share in enumerate(shares.kinds_set.values())
    ]
    return [
        Chart(
            title='Tasks drawn: how many tracks to make',
            text='Share of the examples with so many targets; dashed, the set weights. These and '
            f'the kinds below are at most {shares.largest_sigma:.1f} standard errors off: the '
            'numbers of tracks over a stage, the kinds over the whole training.',
            svg=line_chart(
                [*drawn, *wanted],
                x_label='step',
                y_label='share of examples',
                y_limits=(0, 1.05),
                alt='Shares of examples with 1 to 4 target tracks over the steps',
            ),
        ),
        Chart(
            title='Tasks drawn: the other tracks',
            text='Share of the tracks that are not made: given, or left open (marginalised).',
            svg=line_chart(
                others,
                x_label='step',
                y_label='share of other tracks',
                y_limits=(0, 1.05),
                alt='Shares of given and of marginalised tracks over the steps',
            ),
        ),
        Chart(
            title='Tasks drawn: what is shown',
            text='Share of the examples of each kind: tracks made from text, a hole in them '
            '(inpainting) or their end (continuation); dashed, the set shares.',
            svg=line_chart(
                [*kinds, *kinds_set],
                x_label='step',
                y_label='share of examples',
                y_limits=(0, 1.05),
                alt='Shares of text, inpainting and continuation over the steps',
            ),
        ),
    ]
