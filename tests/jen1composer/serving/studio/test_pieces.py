"""Pieces and files: opened, listed, deleted, taken away, and looked at in two windows."""

import json

import numpy as np
import soundfile
from playwright.sync_api import Locator, expect

from jen1composer.tracks import TRACKS
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


def test_the_downloads_say_that_flac_may_be_quieter_than_what_is_heard(studio, server, tmp_path):
    for track in TRACKS:
        server.client.done(studio.id, do='mix', track=track, gain_db=24)
    wav, flac = [
        soundfile.read(studio.download(f'mix.{kind}', tmp_path))[0] for kind in ('wav', 'flac')
    ]
    assert np.abs(wav).max() > 1
    assert np.abs(flac).max() <= 1
    np.testing.assert_allclose(flac, wav * 0.99 / np.abs(wav).max(), atol=1e-5)
    studio.page.click('#download-menu summary')
    expect(studio.page.locator('#download-menu .foot')).to_contain_text('made quieter as a whole')


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


def test_takes_that_are_not_heard_are_forgotten_when_it_is_meant(studio, server):
    page = studio.page
    forget, menu = page.locator('[data-do=forget]'), page.locator('#piece-menu summary')
    server.client.done(studio.id, do='compose', seed=7, steps=2)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    takes = studio.in_lane('bass', '.takes option')
    expect(takes).to_have_count(2)
    heard = [studio.take(track) for track in TRACKS]
    menu.click()
    forget.click()
    expect(forget).to_have_text('Forget them, and all undo?')
    page.keyboard.press('Tab')
    expect(forget).to_have_text('Forget unused takes…')  # it was not meant
    expect(takes).to_have_count(2)
    forget.click()
    forget.click()
    expect(takes).to_have_count(1)
    assert [studio.take(track) for track in TRACKS] == heard
    expect(page.locator('#undo')).to_be_disabled()
    menu.click()
    expect(forget).to_be_disabled()  # there is nothing left to forget


def test_all_pieces_are_listed_and_can_be_deleted(studio, server):
    page, client = studio.page, server.client
    ids = [client.begin(prompt=f'piece {i}')['id'] for i in range(9)]
    menu, rows = page.locator('#piece-menu summary'), page.locator('#pieces li')

    def row(name: str) -> Locator:
        return rows.filter(has_text=name)

    def held() -> list[str]:
        return [session['id'] for session in client.get('/api/sessions').json['sessions']]

    menu.click()
    listed = len(held())
    expect(rows).to_have_count(listed)
    row('piece 3').get_by_role('button', name='Delete').click()
    page.get_by_role('button', name='Keep it').click()
    expect(row('piece 3')).to_be_visible()
    page.keyboard.press('Enter')  # the same button has the focus again
    expect(rows.filter(has_text='for good?')).to_have_count(1)
    page.get_by_role('button', name='Delete piece 3 for good').click()
    expect(rows).to_have_count(listed - 1)  # the question does not name the piece
    expect(row('piece 3')).to_have_count(0)
    assert set(ids) - set(held()) == {ids[3]}

    row('piece 0').get_by_role('button').first.click()
    expect(page).to_have_url(f'{studio.address}#{ids[0]}')
    menu.click()
    expect(row('piece 0')).to_contain_text('open now')
    row('piece 0').get_by_role('button', name='Delete').click()
    page.get_by_role('button', name='Delete piece 0 for good').click()
    expect(rows).to_have_count(listed - 2)
    expect(row('piece 0')).to_have_count(0)
    left = held()
    assert ids[0] not in left
    expect(page).to_have_url(f'{studio.address}#{left[0]}')  # the one worked on before
    expect(page.locator('#top-error')).to_be_hidden()
