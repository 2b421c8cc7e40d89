"""Other takes of the same music: levels, missing stems and mirrored stereo, all stems in step.

1. Every track is played by a gain of its own, uniform in dB between -g and g.
2. A track is silent with odds p. One is always spared, of those that sound the one with the highest
   draw: so the share of silenced tracks is p - p^K / K where all K sound, and never all of them.
3. Left and right change places, in all tracks alike, with odds s.
4. Were a stem or the sum to pass full scale, one gain brings all of them back (`headroom`).

Nothing is moved in time. Each option draws the same numbers whatever the others are, from the
stream 'augment' of the example: a result is a function of the stems, the seed and the index, and
the mix of the result is its sum.
"""

from dataclasses import dataclass

import numpy as np

from data_pipeline.headroom import within_full_scale
from data_pipeline.streams import stream
from jen1composer.errors import require

MAX_GAIN_DB = 24.0


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What may happen to the stems of an example; nothing by default.

    Attributes:
        gain_db: each track is played by a uniform gain within so many dB either way.
        stem_dropout: odds that a track is silent; never all of them.
        swap_channels: odds that left and right change places.

    Raises BadInput for a value out of range.
    """

    gain_db: float = 0.0
    stem_dropout: float = 0.0
    swap_channels: float = 0.0

    def __post_init__(self) -> None:
        allowed = f'is 0 to {MAX_GAIN_DB:.0f}'
        require(0 <= self.gain_db <= MAX_GAIN_DB, 'augment.gain_db', self.gain_db, allowed)
        for name in ('stem_dropout', 'swap_channels'):
            odds = getattr(self, name)
            require(0 <= odds <= 1, f'augment.{name}', odds, 'is 0 to 1')

    def apply(self, stems: np.ndarray, seed: int, index: int) -> np.ndarray:
        """Stems of example `index`, float32 `[track, sample, 2]` to the same.

        Within [-1, 1], their sum too, unless all options are off: then they come back as they are.
        """
        if not (self.gain_db or self.stem_dropout or self.swap_channels):
            return stems
        random = stream(seed, index, 'augment')
        swap, levels, kept = random.random(), random.random(len(stems)), random.random(len(stems))
        gains = 10 ** (self.gain_db * (2 * levels - 1) / 20)
        sounds = stems.any(axis=(1, 2))
        spared = np.argmax(np.where(sounds, kept, -1))
        gains[(kept < self.stem_dropout) & (np.arange(len(stems)) != spared)] = 0
        stems = stems * gains[:, None, None].astype(np.float32)
        if swap < self.swap_channels:
            stems = stems[:, :, ::-1]
        return within_full_scale(stems)
