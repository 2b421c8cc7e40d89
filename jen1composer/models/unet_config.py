"""The shape of a UNet: what its config file says, and what is refused."""

import dataclasses
import math

from jen1composer.errors import BadInput, require

DTYPES = ('float32', 'bfloat16')
TIME_EMBEDDINGS = ('fixed', 'learned')
REMATS = ('none', 'block', 'full')
MOST_TRACKS = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """The shape of a UNet. The columns of `structure` read downwards, one entry per level.

    Every default means what a UNet was before the field was there, so that what was saved stays
    readable.
    """

    # what comes in
    num_tracks: int
    latent_channels: int
    text_width: int
    spans: bool = False  # the latents that are shown, and where, are input channels

    # structure
    channels: tuple[int, ...]  # width
    factors: tuple[int, ...]  # frames merged into one before the level
    blocks: tuple[int, ...]  # residual blocks
    attentions: tuple[int, ...]  # transformer blocks after each residual block
    norm_groups: int = 1  # of channels, each normalised alone

    # attention
    head_width: int = 32
    feed_forward: int = 2  # times the width of the level
    context_width: int | None = None  # that the context is mapped to, once; None: left as it is

    # conditions
    condition_width: int = 128
    time_embedding: str = 'fixed'  # or learned
    time_frequencies: int = 32
    use_prefix: bool = True  # the task prefix as text
    use_role_tokens: bool = True  # the task as learned tokens
    control: bool = False  # tempo, key and chords are told, where they are known

    # arithmetic
    dtype: str = 'float32'  # of what is computed; parameters are float32
    remat: str = 'none'  # what the gradient computes again instead of keeping: block, full

    def __post_init__(self) -> None:
        if self.factors[:1] != (1,):
            raise BadInput(f'UNetConfig.factors: {self.factors}; the first level merges nothing: 1')
        columns = (self.channels, self.factors, self.blocks, self.attentions)
        if len({len(column) for column in columns}) != 1:
            raise BadInput(
                'UNetConfig: one entry per level is needed, got '
                f'channels={self.channels}, factors={self.factors}, '
                f'blocks={self.blocks}, attentions={self.attentions}'
            )
        for name in ('channels', 'factors', 'blocks', 'attentions'):
            least = 0 if name in ('blocks', 'attentions') else 1
            values = getattr(self, name)
            whole = all(isinstance(value, int) and value >= least for value in values)
            require(whole, f'model.{name}', values, f'are whole numbers of {least} or more')
        even = self.head_width >= 2 and self.head_width % 2 == 0  # halves are rotated
        require(even, 'model.head_width', self.head_width, 'are even numbers of 2 or more')
        for width, attentions in zip(self.channels, self.attentions, strict=True):
            fits = not attentions or width % self.head_width == 0
            allowed = f'are multiples of the head width {self.head_width} where there is attention'
            require(fits, 'model.channels', self.channels, allowed)
        for name in ('feed_forward', 'condition_width', 'time_frequencies'):
            require(getattr(self, name) >= 1, f'model.{name}', getattr(self, name), 'is 1 or more')
        tracks = self.num_tracks
        require(1 <= tracks <= MOST_TRACKS, 'model.num_tracks', tracks, f'is 1 to {MOST_TRACKS}')
        context = self.context_width
        require(context is None or context >= 1, 'model.context_width', context, 'is 1 or more')
        require(
            self.norm_groups == 1 or self._groups_fit(),
            'model.norm_groups',
            self.norm_groups,
            f'are 1 and the multiples of the {tracks} tracks that divide each of {self.channels}, '
            'so that no group holds channels of two tracks',
        )
        for name, among in (
            ('time_embedding', TIME_EMBEDDINGS),
            ('dtype', DTYPES),
            ('remat', REMATS),
        ):
            value = getattr(self, name)
            require(value in among, f'model.{name}', value, f'are {", ".join(among)}')

    def _groups_fit(self) -> bool:
        groups = self.norm_groups
        divide = groups >= 1 and not any(width % groups for width in self.channels)
        return divide and groups % self.num_tracks == 0

    @property
    def input_channels(self) -> int:
        """Channels that come in per track: latents; with spans also those shown, and the mask."""
        return 2 * self.latent_channels + 1 if self.spans else self.latent_channels

    @property
    def total_factor(self) -> int:
        """The number of frames must be a multiple of this."""
        return math.prod(self.factors)
