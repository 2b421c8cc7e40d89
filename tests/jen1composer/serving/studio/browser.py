"""A real browser for the tests of the page: the system's Chromium, without a window."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Locator, Page, expect, sync_playwright

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
FLAGS = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)
GIVE_UP_MS = 30_000


@contextlib.contextmanager
def browser(profile: pathlib.Path, **options: Any) -> Iterator[Page]:
    """A page of a browser that has seen nothing yet; it fails on an error of a script."""
    expect.set_options(timeout=GIVE_UP_MS)
    errors: list[str] = []
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, args=FLAGS, accept_downloads=True, **options
        )
        try:
            page = context.pages[0]
            page.set_default_timeout(GIVE_UP_MS)
            page.on('pageerror', lambda error: errors.append(str(error)))
            yield page
        finally:
            context.close()
    assert not errors


class Studio:
    """The page as a person sees it."""

    def __init__(self, page: Page, port: int):
        self.page, self.address = page, f'http://127.0.0.1:{port}/'

    def open(self) -> 'Studio':
        self.page.goto(self.address)
        return self.ready()

    def ready(self) -> 'Studio':
        """Waits until all that is there can be heard."""
        expect(self.page.locator('.lane')).to_have_count(4)
        expect(self.page.locator('#play')).to_be_enabled()
        expect(self.page.locator('.is-loading')).to_have_count(0)
        return self

    @property
    def id(self) -> str:
        """The session's, as the address says it."""
        return self.page.url.partition('#')[2]

    def lane(self, track: str) -> Locator:
        return self.page.locator(f'.lane[data-track={track}]')

    def in_lane(self, track: str, selector: str) -> Locator:
        return self.lane(track).locator(selector)

    def made(self) -> None:
        """Waits for the end of what is being made."""
        expect(self.page.locator('#job')).to_be_hidden()
        self.ready()

    def generate(self) -> None:
        self.page.click('#generate')
        expect(self.page.locator('#job')).to_be_visible()
        self.made()

    def take(self, track: str) -> str:
        return self.in_lane(track, '.takes').input_value()

    def download(self, file: str, folder: pathlib.Path) -> pathlib.Path:
        """Chooses a download in the menu, by what the server calls it."""
        self.page.click('#download-menu summary')
        with self.page.expect_download() as coming:
            self.page.click(f'[data-file="{file}"]')
        path = folder / coming.value.suggested_filename
        coming.value.save_as(path)
        return path

    def drag_over(self, track: str, from_share: float, to_share: float) -> None:
        """Drags over a part of a waveform."""
        wave = self.in_lane(track, '.wave')
        wave.scroll_into_view_if_needed()
        box = wave.bounding_box()
        assert box
        mouse, y = self.page.mouse, box['y'] + box['height'] / 2
        mouse.move(box['x'] + from_share * box['width'], y)
        mouse.down()
        mouse.move(box['x'] + (from_share + to_share) / 2 * box['width'], y, steps=4)
        mouse.move(box['x'] + to_share * box['width'], y, steps=4)
        mouse.up()
