"""The listening test in a real browser: from consent to the end, closed and reloaded in between."""

import json

import pytest
from playwright.sync_api import Page, expect

from tests.jen1composer.serving.listening.conftest import NAMES
from tests.jen1composer.serving.studio.browser import CHROMIUM, browser
from tests.jen1composer.serving.studio.test_access import FAINT, NAMELESS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='no chromium is installed'),
]
PHONE = {'width': 360, 'height': 740}
FORBIDDEN = ('system_a', 'system_b', *NAMES)


def lines(served) -> list[dict]:
    path = served.listening.test.answers
    return [json.loads(line) for line in path.read_text().splitlines()]


def agree(page: Page, served) -> None:
    page.goto(f'http://127.0.0.1:{served.client.port}/')
    expect(page.locator('#begin')).to_be_disabled()
    page.check('#agree')
    page.click('#begin')
    expect(page.locator('#place')).to_have_text('Pair 1 of 4')


def hear_both(page: Page) -> None:
    expect(page.locator('[value=first]')).to_be_disabled()
    for key in 'ab':
        page.keyboard.press(key)
        sound = '#first' if key == 'a' else '#second'
        expect(page.locator(f'.heard {sound}')).to_be_attached()
    expect(page.locator('[value=first]')).to_be_enabled()


def test_from_consent_to_the_end_with_a_reload_and_another_browser(tmp_path, served):
    seen: list[str] = []
    with browser(tmp_path / 'profile', viewport=PHONE) as page:
        page.on('response', lambda answer: seen.append(f'{answer.url} {answer.headers}'))
        agree(page, served)
        hear_both(page)
        page.keyboard.press('2')
        expect(page.locator('[value=second]')).to_be_checked()
        page.keyboard.press('Enter')
        expect(page.locator('#place')).to_have_text('Pair 2 of 4')
        expect(page.locator('.playing, .heard')).to_have_count(0)
        hear_both(page)
        page.reload()  # in the middle: heard, and not answered
        expect(page.locator('#place')).to_have_text('Pair 2 of 4')
        hear_both(page)
        page.click('label:has([value=neither])')
        page.click('#next')
        expect(page.locator('#place')).to_have_text('Pair 3 of 4')
        code = page.url.partition('#')[2]
        page.goto('about:blank')
        page.goto(f'http://127.0.0.1:{served.client.port}/')  # by what the browser remembers
        expect(page.locator('#place')).to_have_text('Pair 3 of 4')
        assert not [word for word in FORBIDDEN for line in seen if word in line]
    with browser(tmp_path / 'another') as page:  # by the code in the address
        page.goto(f'http://127.0.0.1:{served.client.port}/#{code}')
        for place in (3, 4):
            expect(page.locator('#place')).to_have_text(f'Pair {place} of 4')
            hear_both(page)
            page.keyboard.press('1')
            page.keyboard.press('Enter')
        expect(page.locator('#end-title')).to_be_visible()
        expect(page.locator('#code')).to_have_text(code)
        page.reload()
        expect(page.locator('#end-title')).to_be_visible()
    consent, *answers = lines(served)
    assert consent['consent'] == 1
    assert [line['trial'] for line in answers] == [0, 1, 2, 3]
    assert answers[1]['prefers'] is None
    for line in (answers[2], answers[3]):
        assert line['prefers'] == line['first']
    assert answers[0]['prefers'] != answers[0]['first']
    assert all(0.3 < seconds < 2 for line in answers for seconds in line['heard_s'].values())


def test_who_withdraws_is_forgotten(tmp_path, served):
    with browser(tmp_path / 'profile') as page:
        agree(page, served)
        hear_both(page)
        page.keyboard.press('0')
        page.keyboard.press('Enter')
        expect(page.locator('#place')).to_have_text('Pair 2 of 4')
        page.click('summary')
        page.click('#withdraw')
        page.click('#sure [value=no]')
        assert len(lines(served)) == 2
        page.click('#withdraw')
        page.click('#sure [value=yes]')
        expect(page.locator('#gone-title')).to_be_visible()
        assert lines(served) == []
        page.reload()
        expect(page.locator('#consent-title')).to_be_visible()


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_it_can_be_read_and_used_by_everybody(tmp_path, served, scheme):
    with browser(tmp_path / 'profile', viewport=PHONE, color_scheme=scheme) as page:
        page.goto(f'http://127.0.0.1:{served.client.port}/')
        expect(page.locator('#consent-title')).to_be_visible()
        for step in ('consent', 'trial'):
            if step == 'trial':
                agree(page, served)
                hear_both(page)
                page.click('summary')
            assert page.evaluate(NAMELESS) == []
            assert page.evaluate(FAINT) == []
            assert page.evaluate('document.documentElement.scrollWidth') <= PHONE['width']


def test_an_answer_that_does_not_arrive_is_kept_on_the_page(tmp_path, served):
    with browser(tmp_path / 'profile') as page:
        agree(page, served)
        hear_both(page)
        page.keyboard.press('1')
        page.route('**/answers', lambda route: route.abort())
        page.click('#next')
        expect(page.locator('#problem')).to_contain_text('does not answer')
        page.unroute('**/answers')
        page.click('#next')
        expect(page.locator('#place')).to_have_text('Pair 2 of 4')
        expect(page.locator('#problem')).to_be_hidden()
