"""From the demo's measurements to its page: the words, the tables and the charts."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation.figures import Line, line_chart
from jen1composer.evaluation.page import Chart, Page, Piece, Sound, Table
from launch.demo_measurements import Data, TaskShares, Validation, curve, training_seconds

Rows = Sequence[Mapping[str, Any]]  # of a metrics file

ROLE_WORDS = {'target': 'generated, ', 'condition': 'given, '}
SPLIT_WORDS = {'validation': 'Validation', 'test': 'Test'}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All that is known when the page is made; the figures of `summary` are also its JSON."""

    data: Data
    autoencoder: Mapping[str, Any]  # heldout.json of its workdir
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
        music_text='Above each player is its spectrogram: 0 to 24 kHz from bottom to top, spaced '
        'as the ear does (mel), from black (-80 dB) to pale (full scale).',
        pieces=_pieces(report.pieces),
        tables=[
            _composer_table(report.validation),
            _autoencoder_table(report.autoencoder),
            _level_table(report.pieces),
        ],
        charts=[
            *_loss_charts(report),
            *_validation_charts(report.validation),
            *_share_charts(report.shares),
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
        f'The autoencoder has {_millions(autoencoder["parameters"])} parameters and took '
        f'{autoencoder["steps"]:,} steps in {_minutes(training_seconds(report.autoencoder_rows))}; '
        f'the composer has {_millions(report.composer_parameters)} and took '
        f'{report.composer_steps:,} steps in {_minutes(training_seconds(report.composer_rows))}. '
        'The music is made with the average of its weights.',
    ]


def _pieces(facts: Mapping[str, Mapping[str, Any]]) -> list[Piece]:
    joint, accompaniment, alone = (facts[name] for name in ('joint', 'accompaniment', 'alone'))
    original = facts['original']
    where = f'the test song {original["song"]}, from second {original["start_s"]}'
    texts = {
        'joint': ('Four tracks at once', f'Prompt: “{joint["prompt"]}”'),
        'accompaniment': (
            'Instrument and melody for given bass and drums',
            f'Bass and drums are those of {where}. Prompt: “{accompaniment["prompt"]}”',
        ),
        'alone': ('Drums alone', f'The other tracks left open. Prompt: “{alone["prompt"]}”'),
        'decoded': (
            'The test song through the autoencoder',
            'The same stretch encoded and decoded, without the composer: the best that any '
            'composer with this autoencoder could sound.',
        ),
        'original': ('The test song itself', f'The true stems of {where}.'),
    }
    return [
        Piece(title=title, text=text, sounds=_sounds(name, facts[name]))
        for name, (title, text) in texts.items()
    ]


def _sounds(folder: str, facts: Mapping[str, Any]) -> list[Sound]:
    """A mix with its stems, or the one stem; roles are said where something was generated."""
    tracks = facts['tracks']
    files = {name: track['file'] for name, track in tracks.items()}
    made = any(track['role'] == 'target' for track in tracks.values())
    notes = {
        name: (ROLE_WORDS[track['role']] if made else '') + f'{track["rms_db"]:.1f} dB'
        for name, track in tracks.items()
    }
    if len(tracks) > 1:
        files = {'mix': facts['mix']['file'], **files}
    return [
        Sound(
            label=name.capitalize(),
            file=f'{folder}/{file}',
            picture=f'{folder}/{picture_of(file)}',
            note=notes.get(name, ''),
            whole_width=name == 'mix',
        )
        for name, file in files.items()
    ]


def picture_of(file: str) -> str:
    """The name of a sound's spectrogram."""
    return file.removesuffix('.flac') + '.png'


def _level_table(facts: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = {
        'joint': 'four at once',
        'accompaniment': 'for bass and drums',
        'alone': 'drums alone',
        'decoded': 'test song, decoded',
        'original': 'test song',
    }

    def cell(piece: str, name: str) -> str:
        track = facts[piece]['tracks'].get(name)
        if track is None:
            return '–'
        is_given = piece == 'accompaniment' and track['role'] == 'condition'
        return f'{track["rms_db"]:.1f}' + (' (given)' if is_given else '')

    return Table(
        title='Loudness of each track, RMS in dB below full scale',
        header=['Track', *columns.values()],
        rows=[
            [name, *(cell(piece, name) for piece in columns)] for name in facts['joint']['tracks']
        ],
    )


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


def _autoencoder_table(heldout: Mapping[str, Any]) -> Table:
    columns = {
        'log_mel_db_decoded': 'decoded',
        'log_mel_db_noise': 'decoded noise',
        'log_mel_db_mean': 'mean spectrum',
    }
    return Table(
        title='Autoencoder: log-mel distance to held-out stems, in dB',
        header=['Songs', *columns.values()],
        rows=[
            [word, *(f'{heldout[split][column]:.2f}' for column in columns)]
            for split, word in SPLIT_WORDS.items()
        ],
        text='What comes back from the autoencoder should be much nearer the original than what it '
        'makes of noise, and than the mean spectrum of all of them in every frame.',
    )


def _loss_charts(report: Report) -> list[Chart]:
    rows, heldout = report.composer_rows, report.autoencoder['validation']
    steps, loss = curve(rows, 'loss')
    validation_steps, validation_loss = curve(rows, 'validation_loss')
    ends = [0, max(1, report.composer_steps)]
    ae_steps, ae_loss = curve(report.autoencoder_rows, 'loss')
    distance_steps, distance = curve(report.autoencoder_rows, 'validation_log_mel_db')
    ae_ends = [0, max([1, *ae_steps])]
    return [
        Chart(
            title='Composer: loss',
            text='Squared error of the v-prediction; about 1 is what knowing nothing scores. The '
            'training loss is that of the tasks of its stage, validation that of the last.',
            svg=line_chart(
                [
                    Line(label='training', x=steps, y=loss),
                    Line(
                        label='validation',
                        x=validation_steps,
                        y=validation_loss,
                        colour=1,
                        marked=True,
                    ),
                    Line(label='', x=ends, y=[1, 1], colour=None, dashed=True),
                ],
                x_label='step',
                y_label='v-loss',
                alt='Training and validation loss of the composer over its steps',
            ),
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


def _validation_charts(validation: Validation) -> list[Chart]:
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


def _share_charts(shares: TaskShares) -> list[Chart]:
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
    others = [
        Line(label='given', x=shares.steps, y=shares.given, marked=True),
        Line(
            label='left open',
            x=shares.steps,
            y=[1 - g for g in shares.given],
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
    return [
        Chart(
            title='Tasks drawn: how many tracks to make',
            text='Share of the examples with so many targets; dashed, the set weights. Over a '
            f'stage they are at most {shares.largest_sigma:.1f} standard errors apart.',
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
    ]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _millions(count: int) -> str:
    return f'{count / 1e6:.1f} million'


def _minutes(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.1f} minutes'
