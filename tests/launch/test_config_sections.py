"""Every command takes its own configs, and says what another one lacks."""

import pytest

from configs import demo, demo_autoencoder
from jen1composer.errors import BadInput
from launch.config_sections import require_sections


def test_own_config_is_taken():
    require_sections(demo_autoencoder.get_config(), 'train_autoencoder', ['batch', 'model.'])


def test_missing_sections_are_named():
    with pytest.raises(BadInput, match=r'not a config of train_autoencoder, .* needs losses\. '):
        require_sections(demo.get_config(), 'train_autoencoder', ['batch', 'model.', 'losses.'])


@pytest.mark.parametrize('sections', [['model'], ['batch.']])
def test_value_is_no_section(sections):
    with pytest.raises(BadInput, match='needs'):
        require_sections(demo_autoencoder.get_config(), 'train_autoencoder', sections)
