"""Every command takes its own configs, and says what another one lacks."""

import pytest

from configs import demo, demo_autoencoder
from jen1composer.errors import BadInput
from launch.config_sections import AS_WITHOUT, identity_of, require_sections


def test_own_config_is_taken():
    require_sections(demo_autoencoder.get_config(), 'train_autoencoder', ['batch', 'model.'])


def test_missing_sections_are_named():
    with pytest.raises(BadInput, match=r'not a config of train_autoencoder, .* needs losses\. '):
        require_sections(demo.get_config(), 'train_autoencoder', ['batch', 'model.', 'losses.'])


@pytest.mark.parametrize('sections', [['model'], ['batch.']])
def test_value_is_no_section(sections):
    with pytest.raises(BadInput, match='needs'):
        require_sections(demo_autoencoder.get_config(), 'train_autoencoder', sections)


def test_a_run_from_before_there_was_a_key_goes_on_with_the_config_that_has_it():
    config = demo.get_config()
    assert config.init_from == config.trainable == ''
    flat = identity_of(config, ignore=['data'])
    assert {'optimizer.name', 'seed'} <= {*flat}
    assert not {*flat} & {*AS_WITHOUT}
    config.optimizer.schedule, config.trainable = 'cosine', 'leave'
    said = identity_of(config, ignore=['data'])
    assert said == flat | {'optimizer.schedule': 'cosine', 'trainable': 'leave'}
