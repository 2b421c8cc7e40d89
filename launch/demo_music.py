"""The demo's music on a page: its pieces, and how loud they are."""

from collections.abc import Mapping
from typing import Any

from jen1composer.evaluation.page import Page, Piece, Sound, Table
from jen1composer.generation.composer import Composer

Pieces = Mapping[str, Mapping[str, Any]]  # of demo_pieces.make_pieces: name -> its piece.json

ROLE_WORDS = {'target': 'generated, ', 'condition': 'given, '}
MUSIC_TEXT = (
    'Above each player is its spectrogram: 0 to 24 kHz from bottom to top, spaced as the ear does '
    '(mel), from black (-80 dB) to pale (full scale). A frame is around what was made where the '
    'rest was kept.'
)


def music_page(composer: Composer, facts: Pieces) -> Page:
    """The pieces alone, by a composer that was trained elsewhere."""
    return Page(
        title='JEN-1 Composer, first music',
        paragraphs=[
            'One model makes four tracks (bass, drums, instrument, melody) together, or some of '
            f'them to go with others. It has {millions(composer.num_parameters)} parameters and '
            'never heard the song below. How it was trained and what it scores stands in the '
            'README.md beside its weights.'
        ],
        music_text=MUSIC_TEXT,
        pieces=show_pieces(facts),
        tables=[level_table(facts)],
        charts=[],
    )


def show_pieces(facts: Pieces) -> list[Piece]:
    """What `make_pieces` wrote, with a PNG beside each FLAC."""
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


def level_table(facts: Pieces) -> Table:
    """How loud each track of each piece is."""
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


def millions(count: int) -> str:
    return f'{count / 1e6:.1f} million'
