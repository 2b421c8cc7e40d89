"""A prepared folder in numbers, as a table for the terminal, and as a page to hear and see."""

import collections
import dataclasses
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from data_pipeline.audio import write_flac
from data_pipeline.dataset import SPLITS
from data_pipeline.records import Prepared
from data_pipeline.songs import Song
from jen1composer.errors import BadInput
from jen1composer.evaluation.figures import bar_chart, spectrogram_png
from jen1composer.evaluation.page import Chart, Page, Piece, Sound, Table, render
from jen1composer.tracks import SAMPLE_RATE

NUM_WINDOWS = 10
WINDOW_S = 10.0
CEILING = 0.99
MOST_TAGS = 12
NOT_COUNTED = ('bpm', 'key', 'gain_db')  # numbers, shown as charts or not at all


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What `describe` found; all of it is JSON.

    Attributes:
        folder, source, fingerprint: of the prepared folder.
        summary: `records.summarise`.
        tags: how often each value of a tag occurs, most frequent first, by tag.
        measured: how many songs have their tempo, key or beats from listening.
        near_silent: the songs in which a track is there but hardly sounds, and which.
        quarantined: what was left out, and why.
    """

    folder: str
    source: str
    fingerprint: str
    summary: Mapping[str, Any]
    tags: Mapping[str, Mapping[str, int]]
    measured: Mapping[str, int]
    near_silent: Mapping[str, Sequence[str]]
    quarantined: Sequence[Mapping[str, str]]


def describe(prepared: Prepared) -> Description:
    """Counts what is in a prepared folder; no sound is read."""
    songs, manifest = prepared.songs(), prepared.manifest
    tags: dict[str, collections.Counter[str]] = {}
    for song in songs:
        for name, value in _words(song.tags):
            tags.setdefault(name, collections.Counter())[value] += 1
    measured = collections.Counter(name for song in songs for name in song.measured)
    return Description(
        folder=str(prepared.folder),
        source=manifest.source,
        fingerprint=manifest.fingerprint,
        summary=manifest.summary,
        tags={name: dict(_most_frequent(tags[name])) for name in sorted(tags)},
        measured=dict(sorted(measured.items())),
        near_silent={song.id: song.near_silent for song in songs if song.near_silent},
        quarantined=manifest.quarantined,
    )


def tables(about: Description) -> list[Table]:
    """The same for people."""
    summary = about.summary
    rows = [
        [split, f'{part["songs"]}', length(part['hours'])]
        for split, part in ((split, summary['splits'][split]) for split in SPLITS)
    ]
    total = ['all', f'{summary["songs"]}', length(summary['hours'])]
    tracks = [
        [name, f'{part["songs"]}', length(part['hours']), f'{part["near_silent"]}']
        for name, part in summary['tracks'].items()
    ]
    spreads = [
        [label, *(f'{value:.1f}' for value in summary[name] or ())]
        for name, label in (('loudness_lufs', 'loudness of the mix, LUFS'), ('bpm', 'tempo, bpm'))
        if summary[name]
    ]
    found = [
        Table(title='Songs', header=('split', 'songs', 'length'), rows=[*rows, total]),
        Table(
            title='Tracks',
            header=('track', 'songs', 'sounds for', 'near silent in'),
            rows=tracks,
            text='A stem that is there, but sounds in less than a twentieth of the seconds, is '
            'near silent: it is kept, and marked. A song without the track is not counted.',
        ),
        Table(
            title='Loudness and tempo',
            header=('', 'least', 'median', 'greatest'),
            rows=spreads,
            text=_heard(about),
        ),
    ]
    for name, counts in about.tags.items():
        shown = list(counts.items())[:MOST_TAGS]
        more = len(counts) - len(shown)
        found.append(
            Table(
                title=f'Tags: {name}',
                header=(name, 'songs'),
                rows=[[value, f'{count}'] for value, count in shown],
                text=f'and {more} more' if more else '',
            )
        )
    if about.quarantined:
        left_out = [[entry['file'], entry['reason']] for entry in about.quarantined]
        found.append(Table(title='Left out', header=('file', 'reason'), rows=left_out))
    return found


def length(hours: float) -> str:
    """A length of music for people: '27.1 min', '120.5 h'."""
    return f'{60 * hours:.1f} min' if hours < 10 else f'{hours:.1f} h'


def terminal(found: Sequence[Table]) -> str:
    """Tables as lines of text."""
    lines = []
    for table in found:
        rows = [table.header, *table.rows]
        widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(len(rows[0]))]
        lines.append(table.title)
        for row in rows:
            first = row[0].ljust(widths[0])
            rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False))
            lines.append(('  ' + '  '.join([first, *rest])).rstrip())
        if table.text:
            lines += textwrap.wrap(table.text, 98, initial_indent='  ', subsequent_indent='  ')
        lines.append('')
    return '\n'.join(lines)


def write_page(prepared: Prepared, out: epath.PathLike, *, seed: int = 0) -> epath.Path:
    """Writes index.html, description.json and the sounds of ten random windows under `out`.

    Raises BadInput for a folder that holds a page of another kind, which would be lost.
    """
    out = epath.Path(out)
    if (out / 'index.html').exists() and not (out / 'description.json').exists():
        raise BadInput(
            f'--out={out}: holds an index.html without a description.json; allowed is a new folder '
            'or one with a description'
        )
    out.mkdir(parents=True, exist_ok=True)
    about = describe(prepared)
    songs = prepared.songs()
    page = Page(
        title=f'Prepared music: {about.source}',
        paragraphs=[
            f'{about.summary["songs"]} songs, {length(about.summary["hours"])}, as aligned stems '
            f'of {", ".join(prepared.tracks)}. {len(about.quarantined)} were left out.',
        ],
        music_title='Ten random windows',
        music_text='Above each player is its spectrogram: 0 to 24 kHz from bottom to top, spaced '
        'as the ear does (mel), from black (-80 dB) to pale (full scale). The mix is the sum of '
        'the stems.',
        pieces=[
            _window(prepared, song, start, out, number)
            for number, (song, start) in enumerate(random_windows(songs, seed=seed))
        ],
        tables=tables(about),
        charts=_charts(songs),
        charts_title='How the songs differ',
    )
    text = json.dumps(dataclasses.asdict(about), indent=1, ensure_ascii=False)
    (out / 'description.json').write_text(text + '\n')
    (out / 'index.html').write_text(render(page))
    return out / 'index.html'


def random_windows(
    songs: Sequence[Song], *, seed: int, count: int = NUM_WINDOWS
) -> list[tuple[Song, int]]:
    """Songs, by their length, with the sample at which a window begins; a function of the seed."""
    random = np.random.Generator(np.random.Philox(seed))
    lengths = np.array([song.num_samples for song in songs], float)
    chosen = random.choice(len(songs), size=count, p=lengths / lengths.sum())
    places = random.random(count)
    return [
        (songs[k], int(place * max(1, songs[k].num_samples - WINDOW_S * SAMPLE_RATE)))
        for k, place in zip(chosen, places, strict=True)
    ]


def _window(prepared: Prepared, song: Song, start: int, out: epath.Path, number: int) -> Piece:
    num_samples = min(round(WINDOW_S * SAMPLE_RATE), song.num_samples - start)
    stems = prepared.read(song, start, num_samples)
    mix = stems.sum(axis=0)
    mix *= min(1.0, CEILING / max(1e-9, float(np.abs(mix).max())))
    sounds = []
    for name, audio in {'mix': mix, **dict(zip(prepared.tracks, stems, strict=True))}.items():
        file, picture = f'window{number}-{name}.flac', f'window{number}-{name}.png'
        write_flac(out / file, audio, bits=16)
        (out / picture).write_bytes(spectrogram_png(audio))
        mark = 'near silent in this song' if name in song.near_silent else ''
        sounds.append(
            Sound(label=name, file=file, picture=picture, note=mark, whole_width=name == 'mix')
        )
    facts = [
        song.split,
        f'from {start / SAMPLE_RATE:.1f} s of {song.duration_s:.0f}',
        f'{song.tags["bpm"]:.0f} bpm' if song.tags.get('bpm') else '',
        str(song.tags.get('key') or ''),
        f'{song.loudness_lufs:.1f} LUFS' if song.loudness_lufs is not None else 'silent',
        f'“{song.prompts[0]}”' if song.prompts else '',
    ]
    return Piece(title=song.title, text=', '.join(filter(None, facts)), sounds=sounds)


def _charts(songs: Sequence[Song]) -> list[Chart]:
    found = collections.Counter(str(song.tags.get('key') or 'none') for song in songs)
    keys = dict(_most_frequent(found))
    return [
        _histogram('Length', 'seconds', [song.duration_s for song in songs]),
        _histogram(
            'Loudness of the mix',
            'LUFS',
            [song.loudness_lufs for song in songs if song.loudness_lufs is not None],
        ),
        _histogram('Tempo', 'bpm', [float(s.tags['bpm']) for s in songs if s.tags.get('bpm')]),
        Chart(
            title='Key',
            text='Songs by key.',
            svg=bar_chart(
                list(keys), list(keys.values()), y_label='songs', alt='Number of songs in each key'
            ),
        ),
    ]


def _histogram(title: str, unit: str, values: Sequence[float]) -> Chart:
    counts, edges = np.histogram(values, bins=12)
    labels = [f'{edge:.3g}' for edge in edges[:-1]]
    return Chart(
        title=title,
        text=f'Songs by {title[0].lower()}{title[1:]}; a label is the lower end of its bar.',
        svg=bar_chart(
            labels, counts.tolist(), x_label=unit, y_label='songs', alt=f'{title} of the songs'
        ),
    )


def _heard(about: Description) -> str:
    if not about.measured:
        return 'Tempo, key and beats are what the source knows.'
    of = ', '.join(f'{name} of {count} songs' for name, count in about.measured.items())
    return f'Heard rather than known: {of}.'


def _words(tags: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Each tag with each of its words: of a list, and of lists by track."""
    for name, value in tags.items():
        if name in NOT_COUNTED:
            continue
        values = value.values() if isinstance(value, Mapping) else [value]
        for one in values:
            words = one if isinstance(one, list | tuple) else [one]
            yield from ((name, str(word)) for word in dict.fromkeys(words))


def _most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
