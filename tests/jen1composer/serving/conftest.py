import pytest

from tests.jen1composer import tiny_composer


@pytest.fixture(scope='session')
def composer():
    return tiny_composer.composer(spans=True)
