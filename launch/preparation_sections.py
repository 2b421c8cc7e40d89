"""The config of prepare_data as what the library takes."""

import contextlib
from collections.abc import Iterator, Mapping

from ml_collections import ConfigDict

from data_pipeline.prepare import Preparation
from data_pipeline.prompts import PromptStyle
from data_pipeline.sources.stems import Rule, checked_rules
from data_pipeline.versions import versions_of
from jen1composer.errors import BadInput, require
from launch.config_sections import require_sections

# Of each key the types that its value may have, and these in words.
NUMBER, LIST = ((int, float), 'is a number'), ((list, tuple), 'is a list of pairs')
KEYS: Mapping[str, tuple[tuple[type, ...], str]] = {
    'roles': LIST,
    'versions': LIST,
    'measure': ((bool,), 'is True or False'),
    'held_out': NUMBER,
}
PROMPT_KEYS: Mapping[str, tuple[tuple[type, ...], str]] = {
    'per_song': ((int,), 'is a whole number'),
    'dropout': NUMBER,
}


def make_preparation(config: ConfigDict, *, max_broken: float) -> Preparation:
    """How songs are prepared; raises BadInput for a key or value that cannot be used."""
    _check(config)
    with _named('--config.prompts.'):
        prompts = PromptStyle(**config.prompts)
    with _named('--config.'):
        versions = versions_of(config.versions)
        return Preparation(
            prompts=prompts,
            versions=versions,
            measure=config.measure,
            held_out=config.held_out,
            max_broken=max_broken,
        )


def make_roles(config: ConfigDict) -> tuple[Rule, ...]:
    """Which track a file of `stems:DIR` is, by its name; raises BadInput as `make_preparation`."""
    _check(config)
    return checked_rules(config.roles)


def _check(config: ConfigDict) -> None:
    """Raises BadInput for another command's config, unknown keys and values of a wrong type."""
    require_sections(config, 'prepare_data', [*KEYS, 'prompts.'])
    _check_types(config, '--config', {**KEYS, 'prompts': ((ConfigDict,), '')})
    _check_types(config.prompts, '--config.prompts', PROMPT_KEYS)


def _check_types(
    section: ConfigDict, where: str, keys: Mapping[str, tuple[tuple[type, ...], str]]
) -> None:
    for key in section:
        require(key in keys, where, key, f'are {", ".join(keys)}')
    for key, (types, allowed) in keys.items():
        if key in section:
            found = section[key]
            # bool is an int to Python, not to people.
            ok = isinstance(found, types) and (bool in types or not isinstance(found, bool))
            require(ok, f'{where}.{key}', found, allowed)


@contextlib.contextmanager
def _named(prefix: str) -> Iterator[None]:
    """Errors about a key, `key: ...`, name the flag that sets it."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f'{prefix}{error}') from error
