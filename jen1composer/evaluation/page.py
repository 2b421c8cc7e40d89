"""One page to hear and see what was made: plain HTML, from a description of what is on it.

The page stands alone: charts and style are inside it, sounds and spectrograms lie beside it and are
named by relative paths, nothing is fetched from elsewhere and no script is needed. It follows the
reader's choice of light or dark and the width of a phone. Every text is escaped, since prompts are
written by users; only charts go in as they are.
"""

import dataclasses
import html
import urllib.parse
from collections.abc import Iterable, Sequence

STYLE = """
:root { color-scheme: light dark; --line: #8886;
        --quiet: color-mix(in srgb, CanvasText 70%, Canvas) }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 62rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif;
       background: Canvas; color: CanvasText }
h1 { line-height: 1.2; margin: 1rem 0 0 }
h2 { margin: 2.5rem 0 .5rem; border-bottom: 1px solid var(--line) }
h3 { margin: 1.5rem 0 .25rem }
p { max-width: 44rem; margin: .25rem 0 .75rem; overflow-wrap: anywhere }
figure { margin: 0; min-width: 0 }
figcaption { margin-bottom: .25rem }
small, .text { color: var(--quiet) }
.grid { display: grid; gap: 1rem; padding: 0;
        grid-template-columns: repeat(auto-fill, minmax(min(100%, 13rem), 1fr)) }
.charts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); gap: 2rem }
.picture { position: relative }
.picture span { position: absolute; top: 0; bottom: 0; border: 2px solid #fff }
.grid img { display: block; width: 100%; height: 6rem; border-radius: .25rem }
audio { display: block; width: 100%; margin-top: .25rem }
.whole { grid-column: 1 / -1 }
svg { display: block; width: 100%; height: auto; overflow: visible }
svg text { font-family: system-ui, sans-serif !important }
.table { overflow-x: auto; margin-bottom: .5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right }
th:first-child { text-align: left; font-weight: normal }
thead th { vertical-align: bottom; font-weight: normal; color: var(--quiet) }
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sound:
    """A player with its spectrogram; both files are relative to the page."""

    label: str
    file: str
    picture: str
    note: str = ''
    whole_width: bool = False  # a mix rather than a stem
    framed: Sequence[tuple[float, float]] = ()  # from, to, as shares of its length


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """Sounds that belong together: a mix and its stems."""

    title: str
    text: str
    sounds: Sequence[Sound]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture with the sentence that says what to see in it."""

    title: str
    svg: str  # trusted: put in as it is
    text: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers as text; the first column names the row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """All that is on the page, in its order."""

    title: str
    paragraphs: Sequence[str]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    music_text: str = ''  # said before the pieces; without either there is no such section
    pieces: Sequence[Piece] = ()
    music_title: str = 'Music'
    tables_title: str = 'What was measured'
    charts_title: str = 'How the training went'

    @property
    def sounds(self) -> list[Sound]:
        """All of them; their files and pictures must lie beside the page."""
        return [sound for piece in self.pieces for sound in piece.sounds]


def render(page: Page) -> str:
    """The page as one HTML document."""
    title = _text(page.title)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{title}</h1>
{_lines(f'<p>{_text(paragraph)}</p>' for paragraph in page.paragraphs)}
</header>
<main>
{_music(page)}<section aria-labelledby="measured">
<h2 id="measured">{_text(page.tables_title)}</h2>
{_lines(map(_table, page.tables))}
</section>
{_charts(page)}</main>
</body>
</html>
"""


def _music(page: Page) -> str:
    if not page.pieces and not page.music_text:
        return ''
    return f"""<section aria-labelledby="music">
<h2 id="music">{_text(page.music_title)}</h2>
<p>{_text(page.music_text)}</p>
{_lines(map(_piece, page.pieces))}
</section>
"""


def _charts(page: Page) -> str:
    if not page.charts:
        return ''
    return f"""<section aria-labelledby="charts">
<h2 id="charts">{_text(page.charts_title)}</h2>
<div class="grid charts">
{_lines(map(_chart, page.charts))}
</div>
</section>
"""


def _piece(piece: Piece) -> str:
    sounds = _lines(_sound(piece, sound) for sound in piece.sounds)
    return f"""<article>
<h3>{_text(piece.title)}</h3>
<p>{_text(piece.text)}</p>
<div class="grid">
{sounds}
</div>
</article>"""


def _sound(piece: Piece, sound: Sound) -> str:
    name = _text(f'{sound.label}, {piece.title}')
    whole = ' class="whole"' if sound.whole_width else ''
    return f"""<figure{whole}>
<figcaption>{_text(sound.label)} <small>{_text(sound.note)}</small></figcaption>
<div class="picture"><img src="{_link(sound.picture)}" alt="Spectrogram of {name}" loading="lazy">
{_lines(map(_frame, sound.framed))}</div>
<audio controls preload="metadata" src="{_link(sound.file)}" aria-label="{name}"></audio>
</figure>"""


def _frame(share: tuple[float, float]) -> str:
    begin, end = share
    return f'<span style="left:{begin:.2%};width:{end - begin:.2%}"></span>'


def _chart(chart: Chart) -> str:
    return f"""<figure>
<figcaption><strong>{_text(chart.title)}</strong><br>
<span class="text">{_text(chart.text)}</span></figcaption>
{chart.svg}
</figure>"""


def _table(table: Table) -> str:
    header = ''.join(f'<th scope="col">{_text(cell)}</th>' for cell in table.header)
    rows = _lines(
        f'<tr><th scope="row">{_text(first)}</th>'
        + ''.join(f'<td>{_text(cell)}</td>' for cell in rest)
        + '</tr>'
        for first, *rest in table.rows
    )
    note = f'<p class="text">{_text(table.text)}</p>' if table.text else ''
    title = _text(table.title)
    return f"""<h3>{title}</h3>
<div class="table" tabindex="0" role="region" aria-label="{title}">
<table aria-label="{title}">
<thead><tr>{header}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
{note}"""


def _text(text: str) -> str:
    return html.escape(text)


def _link(path: str) -> str:
    return html.escape(urllib.parse.quote(path))


def _lines(parts: Iterable[str]) -> str:
    return '\n'.join(parts)
