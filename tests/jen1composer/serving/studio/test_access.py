"""The page for everybody: names for a screen reader, contrast, a phone's width, less motion."""

import re

import pytest
from playwright.sync_api import expect

from tests.jen1composer.serving.studio.browser import Studio, browser

NAMELESS = """() => [...document.querySelectorAll(
    'button, input, select, summary, progress, section, dialog')]
  .filter((element) => element.checkVisibility({visibilityProperty: true}))
  .filter((element) => !(
    element.getAttribute('aria-label') || element.getAttribute('aria-labelledby')
    || element.labels?.[0]?.innerText.trim()
    || (/BUTTON|SUMMARY/.test(element.tagName) && element.innerText.trim())))
  .map((element) => element.outerHTML.slice(0, 120))"""

# Every visible text with less contrast than WCAG AA asks: 4.5, or 3 where letters are large.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const layers = (colours) => {  // painted over each other, the furthest first
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const text = texts.currentNode.data.trim();
    if (!text || !element.checkVisibility()) continue;
    if (element.closest('.hidden, option, :disabled')) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) {
      behind.unshift(getComputedStyle(at).backgroundColor);
      if (Number(getComputedStyle(at).opacity) < 1) behind.length = 0;
    }
    if (!behind.length) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(layers([...behind, style.color])), light(layers(behind))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700;
    if (contrast < (large ? 3 : 4.5)) faint.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return faint;
}"""

# How many pixels the list of keys lacks to show its longest.
CUT_KEY = """() => {
  const list = document.querySelector('[name=key]');
  const [is, style] = [list.offsetWidth, list.style.cssText];
  list.style.cssText = 'width: max-content';
  const wants = list.offsetWidth;
  list.style.cssText = style;
  return wants - is;
}"""


def test_all_that_can_be_pressed_has_a_name(studio):
    assert studio.page.evaluate(NAMELESS) == []
    studio.in_lane('bass', '.select').click()
    studio.in_lane('drums', '.vary summary').click()
    assert studio.page.evaluate(NAMELESS) == []
    expect(studio.page.get_by_role('region', name='Bass')).to_be_visible()
    expect(studio.page.get_by_role('slider', name='Position')).to_be_visible()


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_texts_have_contrast(server, tmp_path, scheme):
    with browser(tmp_path / 'profile', color_scheme=scheme) as page:
        studio = Studio(page, server.port).open()
        studio.in_lane('bass', '.keep').click()
        studio.in_lane('drums', '.solo').click()
        studio.in_lane('melody', '.select').click()
        page.fill('[name=tempo_bpm]', '999')
        page.press('[name=tempo_bpm]', 'Tab')
        expect(page.locator('#compose-error')).to_be_visible()
        expect(studio.in_lane('bass', '.keep')).to_have_text('Kept')
        page.mouse.move(0, 0)
        assert page.evaluate(FAINT) == []
        page.click('#help-button')
        assert page.evaluate(FAINT) == []


@pytest.mark.parametrize('width', [390, 375, 320])
def test_a_phone_shows_all_of_it_with_room_for_fingers(server, tmp_path, width):
    size = {'width': width, 'height': 844}
    with browser(tmp_path / 'profile', viewport=size, has_touch=True, is_mobile=True) as page:
        studio = Studio(page, server.port).open()
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        for row in ('.top', '.transport'):
            box = page.locator(row).bounding_box()
            assert box
            assert box['height'] < 80, row  # nothing wraps
        expect(page.locator('#help-button')).to_be_visible()
        assert page.evaluate(CUT_KEY) <= 0
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, select, summary')]
              .filter((element) => element.checkVisibility())
              .filter((element) => {
                const {width, height} = element.getBoundingClientRect();
                return width < 32 || height < 32;
              }).map((element) => element.outerHTML.slice(0, 100))"""
        )
        assert small == []
        studio.in_lane('melody', '.vary summary').tap()
        page.locator('#piece-menu summary').tap()
        for panel in page.locator('details[open] > .panel').all():
            box = panel.bounding_box()
            assert box
            assert box['x'] >= 0
            assert box['x'] + box['width'] <= width
        page.locator('#download-menu summary').tap()
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        expect(studio.in_lane('melody', '.vary .panel')).to_be_hidden()  # one at a time


def test_who_wants_less_motion_gets_less(server, tmp_path):
    with browser(tmp_path / 'profile', reduced_motion='reduce') as page:
        studio = Studio(page, server.port).open()
        page.click('#generate')
        expect(page.locator('.is-making').first).to_be_visible()
        moving = page.evaluate('document.getAnimations({subtree: true}).length')
        assert moving == 0
        expect(page.locator('#say')).to_contain_text('Making')  # and a screen reader is told
        studio.made()
        expect(page.locator('#say')).to_contain_text('made')


@pytest.mark.parametrize('width', [1280, 375])
def test_the_seed_of_a_take_can_be_read_beside_a_long_prompt(server, tmp_path, width):
    with browser(tmp_path / 'profile', viewport={'width': width, 'height': 900}) as page:
        studio = Studio(page, server.port).open()
        page.fill('[name=prompt]', 'a prompt ' * 30)
        page.click('.more summary')
        page.fill('[name=seed]', str(2**31 - 1))
        page.fill('[name=steps]', '2')
        studio.generate()
        about = studio.in_lane('bass', '.about')
        expect(about).to_have_text(re.compile(f'^seed {2**31 - 1} · '))
        expect(about).to_have_attribute('title', re.compile(r'^seed \d+ · “a prompt .*”$'))
        box = about.bounding_box()
        assert box
        assert box['width'] >= 120  # of 13 px: the seed is whole
