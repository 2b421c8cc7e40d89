"""The picture of a curriculum: four charts, what was drawn as areas and what was set as lines."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from data_pipeline.kinds import Kind
from jen1composer.evaluation.figures import COLOURS
from launch.task_draws import Draws
from launch.task_shares import task_shares

BINS, EXAMPLES_A_BIN, SPAN_BINS = 48, 64, 20  # at most, at least, at most
SET: dict[str, Any] = {'color': 'black', 'linestyle': (0, (4, 2)), 'linewidth': 1.0}


def picture(draws: Draws, hidden: np.ndarray, num_frames: int) -> bytes:
    """A PNG of 1500 by 1000 pixels.

    Args:
        draws: of at least one example.
        hidden: of `num_frames`, from `hidden_frames`.
    """
    with matplotlib.rc_context(
        {'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}
    ):
        figure = Figure(figsize=(12, 8), dpi=125, layout='constrained')
        figure.suptitle(
            f'{len(draws):,} examples of a training of {draws.num_steps:,} steps: '
            'areas as drawn, dashed lines as set'
        )
        (counts, others), (kinds, spans) = figure.subplots(2, 2)
        _shares_over_steps(draws, counts, others, kinds)
        _spans(draws, hidden, num_frames, spans)
        buffer = io.BytesIO()
        figure.savefig(buffer, format='png')
    return buffer.getvalue()


def _shares_over_steps(draws: Draws, counts: Axes, others: Axes, kinds: Axes) -> None:
    """Shares of examples with 1, 2, .. targets, of other tracks given, of examples by kind."""
    num_bins = max(1, min(BINS, len(draws) // EXAMPLES_A_BIN))
    shares = task_shares(draws, num_bins=num_bins)
    num_tracks = draws.curriculum.num_tracks
    blues = matplotlib.colormaps['Blues'](np.linspace(0.25, 0.85, num_tracks)).tolist()
    labels = [f'{k} target' + ('s' if k > 1 else '') for k in range(1, num_tracks + 1)]
    _areas(counts, shares.edges, np.array(shares.drawn).T, labels, blues)
    _lines(counts, draws.step, draws.weights.T)

    steps = [0, draws.num_steps]
    given = np.array(shares.given, float)  # None, where there are no other tracks, is NaN
    if np.isnan(given).all():
        _say(others, 'every track is made')
    else:
        names = ['given', 'marginal']
        _areas(others, shares.edges, np.stack([given, 1 - given]), names, COLOURS[2:])
        _lines(others, steps, np.full((1, 2), shares.p_given))

    _areas(kinds, shares.edges, np.array(list(shares.kinds.values())), list(Kind), COLOURS)
    _lines(kinds, steps, np.repeat([[p] for p in shares.kinds_set.values()], 2, axis=1))
    for axes, title, what in (
        (counts, 'How many tracks are made', 'share of examples'),
        (others, 'The other tracks', 'share of them'),
        (kinds, 'What is shown', 'share of examples'),
    ):
        axes.set(title=title, xlabel='step', ylabel=what, xlim=steps, ylim=(0, 1))
        axes.locator_params(axis='x', nbins=5)
        axes.xaxis.set_major_formatter('{x:,.0f}')


def _spans(draws: Draws, hidden: np.ndarray, num_frames: int, axes: Axes) -> None:
    """What part is hidden of the targets that are shown in part."""
    axes.set(title='What is hidden of a target shown in part', xlabel='part of its frames')
    axes.set(ylabel='density of such targets', xlim=(0, 1))
    kinds = draws.curriculum.kinds
    partial = [Kind.INPAINTING, Kind.CONTINUATION]
    share = np.array([kinds.share(kind) for kind in partial])
    if not share.any():
        _say(axes, 'nothing is shown')
        return
    lengths = np.array(kinds.hidden_lengths(num_frames))
    edges = np.linspace(lengths[0], lengths[-1] + 1, min(SPAN_BINS, len(lengths)) + 1).round() - 0.5
    drawn = np.array(
        [np.histogram(hidden[draws.kind == list(Kind).index(kind)], edges)[0] for kind in partial]
    )
    parts = edges / num_frames
    width = np.diff(parts)  # not all alike, where there are more lengths than bins
    _areas(axes, parts, drawn / max(1, drawn.sum()) / width, partial, COLOURS[1:])
    each = np.histogram(lengths, edges)[0] / len(lengths) / width
    for top in np.cumsum(np.outer(share / share.sum(), each), axis=0):
        axes.stairs(top, parts, baseline=None, **SET)
    axes.set_ylim(bottom=0)


def _say(axes: Axes, words: str) -> None:
    axes.text(0.5, 0.5, words, transform=axes.transAxes, horizontalalignment='center')


def _areas(
    axes: Axes, edges: ArrayLike, heights: np.ndarray, labels: Sequence[str], colours: Sequence[Any]
) -> None:
    """Areas on top of each other; `edges` is `[bin + 1]` and `heights` `[area, bin]`."""
    tops = np.vstack([np.zeros(heights.shape[1]), np.cumsum(heights, axis=0)])
    for k, label in enumerate(labels):
        axes.stairs(
            tops[k + 1],
            edges,
            baseline=tops[k],
            fill=True,
            color=colours[k],
            alpha=0.8,
            label=label,
        )
    axes.legend(loc='upper left', bbox_to_anchor=(1.0, 1.0), frameon=False, reverse=True)


def _lines(axes: Axes, x: ArrayLike, heights: np.ndarray) -> None:
    """The borders between areas as they were set; `heights` is `[area, x]`."""
    for top in np.cumsum(heights, axis=0):
        axes.plot(x, top, **SET)
