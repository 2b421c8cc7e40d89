"""What a config says of devices: the section `sharding`, and into how many parts a batch is cut."""

from ml_collections import ConfigDict

from jen1composer.errors import require
from jen1composer.sharding.layout import Layout
from jen1composer.sharding.strategies import strategy

KEYS = ('strategy', 'mesh')


def make_layout(config: ConfigDict) -> Layout:
    """The layout on all devices of a section `sharding`; raises BadInput, naming the key."""
    for name in config:
        require(name in KEYS, '--config.sharding', name, f'are {", ".join(KEYS)}')
    return strategy(config.strategy).layout(config.get('mesh', ''))


def make_accumulate(config: ConfigDict) -> int:
    """Parts of a batch that are worked through one after another; 1 where a config says nothing."""
    parts = config.get('accumulate', 1)
    require(parts >= 1, '--config.accumulate', parts, 'is 1 or more')
    return int(parts)
