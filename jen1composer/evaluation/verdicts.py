"""Claims about a composer that its figures bear out or do not.

(1) Its tracks go with the ones they were made for better than the nearest training stems do, and
(2) than true stems of other songs: the whole interval of the difference of `together` (`scores`)
    lies above 0.
(3) It sounds like the music, not like noise: of every track, the Fréchet distance of `each` is at
    most half that of decoded noise, the upper end of the one against the lower end of the other.
(4) A track sounds like the one that was asked for: the share of stems that are heard as their own
    track (`track_tags`) is above one half, with its whole interval.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jen1composer.evaluation import systems

FAR_BELOW = 0.5  # of (3)
MOST = 0.5  # of (4)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """A claim with the figure that decides it."""

    claim: str
    passed: bool
    figure: str  # in words
    interval: tuple[float, float, float]


def verdicts(scores: Mapping[str, Any]) -> list[Verdict]:
    """What `scores` says; a claim whose figure is not known is left out."""
    found = []
    against = {
        systems.RETRIEVAL: 'the training stems nearest by prompt',
        systems.SHUFFLED: 'true stems of other songs',
    }
    for system, words in against.items():
        difference = scores['coherence']['together']['each_minus'][system]
        if difference is not None:
            found.append(
                Verdict(
                    claim=f'Tracks made for given ones go with them better than {words}',
                    passed=difference[1] > 0,
                    figure='by, as a correlation',
                    interval=tuple(difference),
                )
            )
    ratios = _ratios(scores['frechet'])
    if ratios:
        worst = max(ratios.values(), key=lambda ratio: ratio[2])
        track = next(track for track, ratio in ratios.items() if ratio == worst)
        found.append(
            Verdict(
                claim='Their Fréchet distance is far below that of decoded noise',
                passed=worst[2] <= FAR_BELOW,
                figure=f'ratio of the worst track, {track}; at most {FAR_BELOW}',
                interval=worst,
            )
        )
    tags = scores.get('tags')
    if tags:
        share, true = (tags['all'][name] for name in (systems.EACH, systems.ORIGINAL))
        found.append(
            Verdict(
                claim='What they are heard as is what was asked for',
                passed=share[1] > MOST,
                figure=f'share of stems; true ones {true[0]:.2f}, chance {tags["chance"]:.2f}',
                interval=tuple(share),
            )
        )
    return found


def _ratios(frechet: Mapping[str, Any]) -> dict[str, tuple[float, float, float]]:
    """(3) by track: the ratio, and the ends that it may have."""
    found = {}
    for track, of_systems in frechet.items():
        if track == 'mix' or systems.EACH not in of_systems:
            continue
        each = of_systems[systems.EACH]['interval']
        noise = of_systems[systems.DECODED_NOISE]['interval']
        if noise[1] > 0:
            found[track] = (each[0] / noise[0], max(each[1], 0) / noise[2], each[2] / noise[1])
    return found
