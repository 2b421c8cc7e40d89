"""Flags for what its data would tell a composer, in commands that take a config and no data."""

from absl import flags
from ml_collections import ConfigDict

_BATCH = flags.DEFINE_integer('batch', None, 'Examples; as in the config.', lower_bound=1)
_FRAMES = flags.DEFINE_integer('frames', None, 'Latent frames; as in the config.', lower_bound=1)
_TRACKS = flags.DEFINE_integer('tracks', 4, 'Tracks of a composer.', lower_bound=1)
_LATENT_CHANNELS = flags.DEFINE_integer(
    'latent_channels', 24, 'Channels of the latents of a composer.', lower_bound=1
)
_TEXT_WIDTH = flags.DEFINE_integer(
    'text_width', 384, 'Width of the states of the text encoder of a composer.', lower_bound=1
)
_PROMPT_TOKENS = flags.DEFINE_integer('prompt_tokens', 64, 'Tokens of a prompt.', lower_bound=1)
_PREFIX_TOKENS = flags.DEFINE_integer('prefix_tokens', 16, 'Tokens of a prefix.', lower_bound=1)


def with_batch(config: ConfigDict) -> ConfigDict:
    """`config` with the batch of --batch, if it was given."""
    if _BATCH.value is not None:
        config.batch = _BATCH.value
    return config


def frames() -> int | None:
    """--frames; None is as many as the config says."""
    return _FRAMES.value


def given() -> dict[str, int]:
    """The fields of `description.GivenByData`."""
    return {
        'num_tracks': _TRACKS.value,
        'latent_channels': _LATENT_CHANNELS.value,
        'text_width': _TEXT_WIDTH.value,
        'prompt_tokens': _PROMPT_TOKENS.value,
        'prefix_tokens': _PREFIX_TOKENS.value,
    }
