"""Pieces and files: opened, listed, deleted, taken away, and looked at in two windows."""

import json

from playwright.sync_api import expect

from tests.jen1composer.serving.studio.browser import Studio


def test_files_that_are_too_large_are_refused_before_they_are_sent(page, server, tmp_path):
    about = server.client.get('/api/about').json
    about['limits'] |= {'upload_bytes': 1 << 20, 'import_bytes': 2 << 20}
    page.route('**/api/about', lambda route: route.fulfill(body=json.dumps(about)))
    studio = Studio(page, server.port).open()
    sent: list[str] = []
    page.on('request', lambda request: sent.append(request.url))
    (tmp_path / 'one.wav').write_bytes(bytes((1 << 20) + 1))
    (tmp_path / 'two.zip').write_bytes(bytes((2 << 20) + 1))
    (tmp_path / 'one.zip').write_bytes(bytes((1 << 20) + 1))
    studio.in_lane('bass', '.file').set_input_files(tmp_path / 'one.wav')
    expect(studio.in_lane('bass', '.error')).to_contain_text('takes up to 1 MB; one.wav has 2 MB')
    page.locator('#session-file').set_input_files(tmp_path / 'two.zip')
    expect(page.locator('#top-error')).to_contain_text('takes up to 2 MB; two.zip has 3 MB')
    assert sent == []
    page.locator('#session-file').set_input_files(tmp_path / 'one.zip')  # it is sent, and no zip
    expect(page.locator('#top-error')).not_to_contain_text('takes up to')
    expect(page.locator('#top-error')).to_be_visible()


def test_a_window_that_is_looked_at_again_shows_what_another_did(studio, server):
    page, other = studio.page, Studio(studio.page.context.new_page(), server.port)
    other.address += f'#{studio.id}'
    other.open()
    other.in_lane('bass', '.keep').click()
    expect(other.in_lane('bass', '.keep')).to_have_text('Kept')
    expect(studio.in_lane('bass', '.keep')).to_have_text('Keep')
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(studio.in_lane('bass', '.keep')).to_have_text('Kept')
    other.page.click('#generate')
    expect(other.page.locator('#job')).to_be_visible()
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator('#job')).to_be_visible()  # what the other has made is followed here too
    other.made()
    studio.made()
    assert studio.take('drums') == other.take('drums')
