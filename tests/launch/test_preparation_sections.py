"""The config of prepare_data: whatever is wrong with it is one line that names the key."""

import pytest
from ml_collections import ConfigDict

from configs import demo
from configs.prepare import get_config
from data_pipeline.sources.stems import RULES
from data_pipeline.versions import Version
from jen1composer.errors import BadInput
from launch.preparation_sections import make_preparation, make_roles


def changed(key: str, value: object) -> ConfigDict:
    """The config with another value at `key`, whatever its type."""
    config = get_config()
    section, _, name = key.rpartition('.')
    with (config[section] if section else config).ignore_type() as node:
        node[name] = value
    return config


def refusal(config: ConfigDict) -> str:
    with pytest.raises(BadInput) as error:
        make_preparation(config, max_broken=0.2)
    assert '\n' not in str(error.value)
    return str(error.value)


def test_the_config_is_what_the_library_does_by_itself():
    how = make_preparation(get_config(), max_broken=0.1)
    assert (how.max_broken, how.measure, how.versions) == (0.1, True, ())
    assert make_roles(get_config()) == RULES
    lists = changed('versions', [[2, 1.0], (0, 0.9)])
    assert make_preparation(lists, max_broken=0).versions == (
        Version(semitones=2.0),
        Version(speed=0.9),
    )
    assert make_preparation(changed('held_out', 0), max_broken=0).held_out == 0


@pytest.mark.parametrize(
    ('key', 'value', 'allowed'),
    [
        ('prompts.per_song', '4', 'is a whole number'),
        ('prompts.per_song', 2.5, 'is a whole number'),
        ('prompts.per_song', True, 'is a whole number'),
        ('prompts.per_song', 0, 'is 1 to 64'),
        ('prompts.dropout', None, 'is a number'),
        ('prompts.dropout', 2.0, 'is 0 to 1'),
        ('held_out', None, 'is a number'),
        ('held_out', 'x', 'is a number'),
        ('held_out', 0.9, 'is 0 to 1/3'),
        ('versions', None, 'is a list of pairs'),
        ('roles', None, 'is a list of pairs'),
        ('roles', 5, 'is a list of pairs'),
        ('measure', 'no', 'is True or False'),
        ('measure', 1, 'is True or False'),
    ],
)
def test_other_values_are_refused_by_the_name_of_their_key(key: str, value: object, allowed: str):
    assert refusal(changed(key, value)) == f'--config.{key}: {value!r}; allowed {allowed}'


def test_versions_out_of_range_are_named():
    assert refusal(changed('versions', ((9, 1.0),))) == (
        '--config.versions: (9, 1.0): semitones: 9.0; allowed is -6 to 6'
    )
    assert refusal(changed('versions', ((0, 9),))) == (
        '--config.versions: (0, 9): speed: 9.0; allowed is 0.5 to 2'
    )
    assert refusal(changed('versions', ((0, 1),))).startswith('--config.versions: (0, 1); allowed')


def test_unknown_keys_are_refused():
    assert refusal(changed('prompts.extra', 1)) == (
        "--config.prompts: 'extra'; allowed are per_song, dropout"
    )
    assert refusal(changed('extra', 1)).startswith("--config: 'extra'; allowed are roles, ")


@pytest.mark.parametrize(
    'make', [make_roles, lambda config: make_preparation(config, max_broken=0)]
)
def test_the_config_of_another_command_is_refused(make):
    for config in (demo.get_config(), changed('prompts', 3)):
        with pytest.raises(BadInput, match=r'^--config: not a config of prepare_data, which needs'):
            make(config)
