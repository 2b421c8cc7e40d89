"""The config of prepare_data as what the library takes."""

from ml_collections import ConfigDict

from data_pipeline.prepare import Preparation
from data_pipeline.prompts import PromptStyle
from data_pipeline.sources.stems import Rule, checked_rules
from data_pipeline.versions import versions_of
from jen1composer.errors import require
from launch.config_sections import require_sections

KNOWN = ('roles', 'prompts', 'versions', 'measure', 'held_out')


def make_preparation(config: ConfigDict, *, max_broken: float) -> Preparation:
    """How songs are prepared; raises BadInput for a key or value that cannot be used."""
    require_sections(config, 'prepare_data', ['roles', 'prompts.', 'versions', 'measure'])
    for name in config:
        require(name in KNOWN, '--config', name, f'are {", ".join(KNOWN)}')
    return Preparation(
        prompts=PromptStyle(**config.prompts),
        versions=versions_of(config.versions),
        measure=config.measure,
        held_out=config.held_out,
        max_broken=max_broken,
    )


def make_roles(config: ConfigDict) -> tuple[Rule, ...]:
    """Which track a file of `stems:DIR` is, by its name."""
    return checked_rules(config.roles)
