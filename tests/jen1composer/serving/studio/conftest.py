"""One tiny server for the tests of the page, and a browser of its own for each of them."""

import pytest

from tests.jen1composer.serving.client import Server
from tests.jen1composer.serving.studio.browser import CHROMIUM, Studio, browser

HOW = 'no chromium is installed (on Debian: apt-get install chromium)'


@pytest.fixture(scope='session')
def chromium():
    if CHROMIUM is None:
        pytest.skip(HOW)


@pytest.fixture(scope='package')
def server(tmp_path_factory, chromium):
    server = Server(tmp_path_factory.mktemp('studio'), step_s=0.03, control=1)
    yield server
    server.kill()


@pytest.fixture
def page(tmp_path, server):
    with browser(tmp_path / 'profile', viewport={'width': 1280, 'height': 900}) as page:
        yield page


@pytest.fixture
def studio(page, server) -> Studio:
    return Studio(page, server.port).open()
