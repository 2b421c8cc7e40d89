"""Pictures of what was measured, as functions of arrays.

1. A chart is SVG that stands inside a page: its words and axes have the colour `currentColor` and
   are set in the reader's fonts, so one picture is right by light and in the dark, and sharp at any
   width.
2. A spectrogram is PNG, one pixel a band and frame, without axes: it is as wide as its player.

Nothing is global: matplotlib's figures are made directly, without pyplot and its current figure.
"""

import dataclasses
import hashlib
import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from jen1composer.evaluation.log_mel import FLOOR_DB, log_mel

COLOURS = ('#3b82c4', '#d9772b', '#2b9a66', '#b3559b')  # 3:1 or better on white and on near-black
_INK = '#010203'  # stands for currentColor until the SVG is written
_LETTERS = 48  # that fit below an axis side by side
_LEGEND_LETTERS = 52  # in a row of the legend, beside four marks
_STYLE: dict[Any, Any] = {
    'font.size': 9,
    'svg.fonttype': 'none',  # words stay words
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.edgecolor': _INK,
    'axes.labelcolor': _INK,
    'text.color': _INK,
    'xtick.color': _INK,
    'ytick.color': _INK,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'lines.linewidth': 1.6,
    'lines.markersize': 4,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart.

    Attributes:
        label: its name in the legend; empty leaves it out there.
        x, y: its points, of one length.
        colour: index into COLOURS, or None for the ink of the axes.
        marked: dots at the points.
        dashed: what it is compared with, rather than what was measured.
    """

    label: str
    x: ArrayLike
    y: ArrayLike
    colour: int | None = 0
    marked: bool = False
    dashed: bool = False


def line_chart(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    alt: str,
    y_limits: tuple[float, float] | None = None,
) -> str:
    """An SVG element; `alt` says in words what it shows, for who cannot see it.

    Raises ValueError for a line whose x and y differ in length.
    """

    def draw(figure: Figure) -> None:
        axes = _axes(figure, x_label, y_label)
        for line in lines:
            axes.plot(
                line.x,
                line.y,
                label=line.label or None,
                color=_INK if line.colour is None else COLOURS[line.colour],
                marker='o' if line.marked else '',
                linestyle=(0, (4, 2)) if line.dashed else '-',
                linewidth=1.0 if line.dashed else None,
            )
        if y_limits is not None:
            axes.set_ylim(*y_limits)
        longest = max((len(line.label) for line in lines), default=0)
        if longest:
            columns = max(1, min(4, _LEGEND_LETTERS // longest))
            figure.legend(
                loc='outside lower center', ncols=columns, handlelength=1.8, columnspacing=1.2
            )

    return svg_of(draw, alt)


def bar_chart(
    labels: Sequence[str],
    heights: ArrayLike,
    *,
    x_label: str = '',
    y_label: str,
    alt: str,
) -> str:
    """An SVG element with one bar a label, in their order; long labels stand upright."""

    def draw(figure: Figure) -> None:
        axes = _axes(figure, x_label, y_label)
        places = range(len(labels))
        axes.bar(places, heights, width=0.8, color=COLOURS[0])
        upright = sum(map(len, labels)) > _LETTERS
        axes.set_xticks(places, labels, rotation=90 if upright else 0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))

    return svg_of(draw, alt)


def interval_chart(
    labels: Sequence[str],
    intervals: Sequence[tuple[float, float, float]],
    *,
    x_label: str,
    alt: str,
    logarithmic: bool = False,
) -> str:
    """An SVG element: a point with its interval (figure, low, high) a label, the first on top.

    On a logarithmic axis what is not above 0 ends at a hundredth of the smallest figure.
    """

    def draw(figure: Figure) -> None:
        axes = _axes(figure, x_label, '')
        figures, low, high = np.array(intervals, float).T
        floor = figures[figures > 0].min(initial=np.inf) / 100 if logarithmic else -np.inf
        figures, low = np.maximum(figures, floor), np.maximum(low, floor)
        places = -np.arange(len(labels))
        axes.hlines(places, low, high, color=COLOURS[0], alpha=0.6, linewidth=3)
        axes.plot(figures, places, 'o', color=COLOURS[0])
        axes.set_yticks(places, labels)
        if logarithmic:
            axes.set_xscale('log')

    return svg_of(draw, alt)


def _axes(figure: Figure, x_label: str, y_label: str) -> Axes:
    axes = figure.subplots()
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color='#808080', alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def svg_of(draw: Callable[[Figure], None], alt: str) -> str:
    """What `draw` puts on a figure, as an SVG element for a page."""
    salt = hashlib.sha256(alt.encode()).hexdigest()  # ids that repeat, and differ between charts
    with matplotlib.rc_context(_STYLE | {'svg.hashsalt': salt}):
        figure = Figure(figsize=(4.6, 2.8), layout='constrained')
        draw(figure)
        buffer = io.StringIO()
        nothing = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))
        figure.savefig(buffer, format='svg', transparent=True, metadata=nothing)
    return _for_a_page(buffer.getvalue(), alt)


def spectrogram_png(waveform: np.ndarray) -> bytes:
    """Log-mel spectrogram of `[sample, 2]` at 48 kHz: low notes below, black is -80 dB, pale 0."""
    buffer = io.BytesIO()
    decibels = log_mel(waveform).T  # [mel, frame]
    matplotlib.image.imsave(
        buffer, decibels, format='png', cmap='magma', vmin=FLOOR_DB, vmax=0, origin='lower'
    )
    return buffer.getvalue()


def _for_a_page(svg: str, alt: str) -> str:
    """The bare element: as wide as its place, in the ink of the page, without ids nobody uses."""
    svg = svg[svg.index('<svg') :].replace(_INK, 'currentColor')
    svg = re.sub(r' id="[\w.]+_\d+"', '', svg)  # axes_1 and the like, the same in every chart
    svg = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', svg, flags=re.DOTALL)  # not for all
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r' width="\S+pt" height="\S+pt"', '', svg, count=1)
    return svg.replace('<svg', f'<svg role="img" aria-label="{html.escape(alt)}"', 1)
