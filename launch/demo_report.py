"""From the demo's measurements to its page: the words, the sounds and the tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation.page import Page, Table
from launch.demo_charts import Rows, loss_charts, share_charts, validation_charts
from launch.demo_measurements import Data, Validation, curve, training_seconds
from launch.demo_music import MUSIC_TEXT, level_table, millions, show_pieces
from launch.task_shares import TaskShares

KINDS = {
    'validation_loss': 'Text, in both directions',
    'validation_loss_causal': 'Text, causal',
    'validation_loss_inpainting': 'Inpainting, in both directions',
    'validation_loss_continuation': 'Continuation, causal',
}
SOUNDS = {'validation': 'Validation songs', 'test': 'Test songs', 'stretch': 'The stretch above'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All that is known when the page is made; the figures of `summary` are also its JSON."""

    data: Data
    autoencoder: Mapping[str, Any]  # heldout.json of its workdir, and the same of the stretch
    autoencoder_rows: Rows
    composer_parameters: int
    composer_steps: int
    composer_rows: Rows
    shares: TaskShares
    validation: Validation
    pieces: Mapping[str, Mapping[str, Any]]  # demo_pieces.make_pieces

    def summary(self) -> dict[str, Any]:
        """JSON values: everything measured."""
        return {
            'data': dataclasses.asdict(self.data),
            'autoencoder': {
                **self.autoencoder,
                'train_s': round(training_seconds(self.autoencoder_rows), 1),
            },
            'composer': {
                'parameters': self.composer_parameters,
                'steps': self.composer_steps,
                'train_s': round(training_seconds(self.composer_rows), 1),
                'training_loss': curve(self.composer_rows, 'loss'),
                'validation_loss': curve(self.composer_rows, 'validation_loss'),
            },
            'task_shares': dataclasses.asdict(self.shares),
            'validation': dataclasses.asdict(self.validation),
            'pieces': self.pieces,
        }


def make_page(report: Report) -> Page:
    """The page; the sounds are where `make_pieces` wrote them, a PNG beside each FLAC."""
    return Page(
        title='JEN-1 Composer, a first demo',
        paragraphs=_lead(report),
        music_text=MUSIC_TEXT,
        pieces=show_pieces(report.pieces),
        tables=[
            _composer_table(report.validation),
            *_kind_tables(report.composer_rows),
            _autoencoder_table(report.autoencoder),
            level_table(report.pieces),
        ],
        charts=[
            *loss_charts(
                report.composer_rows,
                _mean(report.validation.zero),
                report.autoencoder_rows,
                report.autoencoder['validation'],
            ),
            *validation_charts(report.validation),
            *share_charts(report.shares),
        ],
    )


def _lead(report: Report) -> list[str]:
    data, autoencoder = report.data, report.autoencoder
    held_out = data.songs['validation'] + data.songs['test']
    return [
        'Everything here was trained from nothing on one machine, by one command: an autoencoder '
        'that turns each track into latents, and a diffusion model, the composer, that makes four '
        'tracks (bass, drums, instrument, melody) together, or some of them to go with others. '
        'It is a beginning, not a record.',
        f'The music is from {data.source!r}: {data.songs["train"]} songs of '
        f'{data.minutes["train"]:g} minutes to train on, and {held_out} of '
        f'{data.minutes["validation"] + data.minutes["test"]:g} minutes held out.',
        f'The autoencoder has {millions(autoencoder["parameters"])} parameters and took '
        f'{autoencoder["steps"]:,} steps in {_minutes(training_seconds(report.autoencoder_rows))}; '
        f'the composer has {millions(report.composer_parameters)} and took '
        f'{report.composer_steps:,} steps in {_minutes(training_seconds(report.composer_rows))}. '
        'The music is made with the average of its weights.',
    ]


def _composer_table(validation: Validation) -> Table:
    mean, low, high = validation.gap
    listens = (
        'it is above 0 in all of its interval: the composer listens to the tracks it is given.'
        if low > 0
        else 'its interval holds 0, so it cannot be said that the composer listens to the tracks '
        'it is given.'
    )
    return Table(
        title='Composer: v-loss on held-out songs',
        header=['What', 'mean', '95 % interval'],
        rows=[
            ['Composer', f'{_mean(validation.loss):.4f}', ''],
            ['Prediction of zero', f'{_mean(validation.zero):.4f}', ''],
            ['Added by another song’s given tracks', f'{mean:+.4f}', f'{low:+.4f} to {high:+.4f}'],
        ],
        text=f'The first two over all noise levels, on validation songs. The last is the loss with '
        f'another song’s given tracks minus that with the true ones ({validation.gap_examples} '
        f'examples from {validation.gap_songs} held-out songs, counted as independent): {listens}',
    )


def _kind_tables(rows: Rows) -> list[Table]:
    """What the composer scored on each kind of task at its last validation, if it has several."""
    last = next((row for row in reversed(rows) if 'validation_loss' in row), {})
    found = [(word, last[name]) for name, word in KINDS.items() if name in last]
    if len(found) < 2:
        return []
    return [
        Table(
            title='Composer: v-loss by kind of task',
            header=['Kind', 'v-loss'],
            rows=[[word, f'{loss:.4f}'] for word, loss in found],
            text='Validation songs, the same windows, targets and noise in every row; only frames '
            'that are not shown count.',
        )
    ]


def _autoencoder_table(heldout: Mapping[str, Any]) -> Table:
    columns = {
        'log_mel_db_decoded': 'decoded',
        'log_mel_db_disturbed': 'disturbed',
        'log_mel_db_noise': 'decoded noise',
        'log_mel_db_mean': 'mean spectrum',
    }
    return Table(
        title='Autoencoder: log-mel distance to held-out stems, in dB',
        header=['Stems', *columns.values()],
        rows=[
            [word, *(f'{heldout[sounds][column]:.2f}' for column in columns)]
            for sounds, word in SOUNDS.items()
        ],
        text='What comes back from the autoencoder (decoded) should be much nearer the original '
        'than what it makes of noise, and than the mean spectrum of all of them in every frame. '
        'Disturbed: noise of a quarter of their deviation is added to the latents.',
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _minutes(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.1f} minutes'
