"""The pictures of an ablation."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from jen1composer.evaluation.figures import COLOURS, svg_of
from jen1composer.evaluation.seed_intervals import SeedInterval


def difference_chart(intervals: Mapping[str, SeedInterval], measure: str) -> str:
    """An SVG element: a dot and its interval for each row, from top to bottom, and a line at 0."""
    names = list(intervals)
    said = '; '.join(f'{name} {of.mean:+.3f}' for name, of in intervals.items())

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        places = range(len(names), 0, -1)
        means = [intervals[name].mean for name in names]
        halves = [intervals[name].high - intervals[name].mean for name in names]
        axes.axvline(0, color='#808080', linewidth=1.0)
        axes.errorbar(means, places, xerr=halves, fmt='o', color=COLOURS[0], capsize=3)
        axes.set_yticks(places, names)
        axes.set_xlabel(measure)
        axes.grid(axis='x', color='#808080', alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)

    return svg_of(draw, f'{measure} of each variant minus that of the base: {said}')
