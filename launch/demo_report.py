"""From the demo's measurements to its page: the words, the sounds and the tables."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jen1composer.evaluation.page import Page, Piece, Sound, Table
from launch.demo_charts import Rows, loss_charts, share_charts, validation_charts
from launch.demo_measurements import Data, Validation, curve, training_seconds
from launch.task_shares import TaskShares

ROLE_WORDS = {'target': 'generated, ', 'condition': 'given, '}
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
        music_text='Above each player is its spectrogram: 0 to 24 kHz from bottom to top, spaced '
        'as the ear does (mel), from black (-80 dB) to pale (full scale). A frame is around what '
        'was made where the rest was kept.',
        pieces=_pieces(report.pieces),
        tables=[
            _composer_table(report.validation),
            *_kind_tables(report.composer_rows),
            _autoencoder_table(report.autoencoder),
            _level_table(report.pieces),
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
        'inpainted': (
            'A hole in all four tracks, filled',
            f'The middle was taken out of every track of {where}, and made anew to go with both '
            'sides. What was kept is the song’s, sample for sample.',
        ),
        'continued': (
            'Four tracks, continued',
            f'The beginning is that of {where}; from the frame on no sample of it was known.',
        ),
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
        name: (_made(track) if made else '') + f'{track["rms_db"]:.1f} dB'
        for name, track in tracks.items()
    }
    framed = {name: track.get('made_s', []) for name, track in tracks.items()}
    if len(tracks) > 1:
        files = {'mix': facts['mix']['file'], **files}
        framed['mix'] = next(iter(framed.values()))  # the pieces here have the same in all tracks
    return [
        Sound(
            label=name.capitalize(),
            file=f'{folder}/{file}',
            picture=f'{folder}/{picture_of(file)}',
            note=notes.get(name, ''),
            whole_width=name == 'mix',
            framed=[(a / facts['seconds'], b / facts['seconds']) for a, b in framed[name]],
        )
        for name, file in files.items()
    ]


def _made(track: Mapping[str, Any]) -> str:
    return 'made in part, ' if 'made_s' in track else ROLE_WORDS[track['role']]


def picture_of(file: str) -> str:
    """The name of a sound's spectrogram."""
    return file.removesuffix('.flac') + '.png'


def _level_table(facts: Mapping[str, Mapping[str, Any]]) -> Table:
    columns = {
        'joint': 'four at once',
        'accompaniment': 'for bass and drums',
        'alone': 'drums alone',
        'inpainted': 'hole filled',
        'continued': 'continued',
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


def _millions(count: int) -> str:
    return f'{count / 1e6:.1f} million'


def _minutes(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.1f} minutes'
