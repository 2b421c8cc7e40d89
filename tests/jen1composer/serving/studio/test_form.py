"""The form: numbers stay what they are, and what is too much is said with what is allowed here."""

from playwright.sync_api import expect

from tests.jen1composer.serving.studio.browser import Studio


def test_a_tempo_that_is_shown_rounded_is_not_written_back(studio, server):
    page, client = studio.page, server.client
    client.done(studio.id, do='set', tempo_bpm=92.375, seconds=1.2345)
    page.reload()
    studio.ready()
    tempo = page.locator('[name=tempo_bpm]')
    expect(tempo).to_have_value('92.38')
    page.fill('[name=prompt]', 'slow rock')
    page.press('[name=prompt]', 'Tab')
    for _ in range(100):
        said = client.get(f'/api/sessions/{studio.id}').json
        if said['prompt'] == 'slow rock':
            break
        page.wait_for_timeout(50)
    assert (said['prompt'], said['tempo_bpm'], said['seconds']) == ('slow rock', 92.375, 1.2345)


def test_a_length_is_bounded_by_what_this_server_allows(studio, server):
    page = studio.page
    most = server.client.get('/api/about').json['limits']['seconds']
    length = page.locator('#compose [name=seconds]')
    length.fill('999')
    page.click('#generate')
    expect(page.locator('#compose-error')).to_have_text(
        f'Length: 999; allowed are up to {most:g} here.'
    )
    expect(length).to_have_attribute('aria-invalid', 'true')
    length.fill('1.5')
    length.press('Tab')
    expect(page.locator('#compose-error')).to_be_hidden()

    longer = page.locator('#longer [name=seconds]')
    longer.fill(str(most - 1))
    page.click('#longer button[value=start]')
    expect(page.locator('#longer-error')).to_have_text(
        f'Length: {most - 1:g}; allowed are up to {most - 1.5:g} here.'
    )
    expect(longer).to_have_attribute('aria-invalid', 'true')
    expect(page.locator('#job')).to_be_hidden()


def test_undo_and_redo_pressed_fast_end_without_an_error(studio):
    page = studio.page
    studio.in_lane('bass', '.keep').click()
    expect(studio.in_lane('bass', '.keep')).to_have_text('Kept')
    page.evaluate("""() => {
      const press = (shiftKey) => document.body.dispatchEvent(
        new KeyboardEvent('keydown', {key: 'z', shiftKey, bubbles: true}));
      for (const shiftKey of [false, false, false]) press(shiftKey);
    }""")
    expect(studio.in_lane('bass', '.keep')).to_have_text('Keep')
    expect(page.locator('#undo')).to_be_disabled()
    page.evaluate("""() => {
      for (const _ of [1, 2, 3]) document.body.dispatchEvent(
        new KeyboardEvent('keydown', {key: 'Z', shiftKey: true, bubbles: true}));
    }""")
    expect(studio.in_lane('bass', '.keep')).to_have_text('Kept')
    expect(page.locator('#redo')).to_be_disabled()
    page.wait_for_timeout(300)
    expect(page.locator('#top-error')).to_be_hidden()


def test_tempo_key_and_chords_are_followed_as_strictly_as_is_asked(studio):
    page = studio.page
    asked: list[dict] = []
    page.on(
        'request',
        lambda sent: asked.append(sent.post_data_json) if sent.url.endswith('/actions') else None,
    )
    page.click('.more summary')
    page.fill('[name=steps]', '2')
    scale = page.locator('[name=control_guidance]')
    scale.fill('1.5')
    page.click('#generate')  # there is nothing to follow yet
    expect(page.locator('#compose-error')).to_contain_text(
        'Scale on tempo, key and chords: 1.5; it needs a bpm, a key or chords'
    )
    expect(scale).to_have_attribute('aria-invalid', 'true')
    page.fill('[name=tempo_bpm]', '120')
    page.fill('[name=chords]', 'Am F')
    studio.generate()
    scale.fill('')  # as they were learnt
    studio.generate()
    composed = [action for action in asked if action['do'] == 'compose']
    assert [action.get('control_guidance') for action in composed] == [1.5, 1.5, None]


def test_what_the_composer_never_learnt_is_not_asked_for(page, server):
    def without_control(route):
        about = route.fetch().json()
        route.fulfill(json=about | {'control': False})

    page.route('**/api/about', without_control)
    Studio(page, server.port).open()
    page.click('.more summary')
    for name, there in (('chords', False), ('control_guidance', False), ('seed', True)):
        expect(page.locator(f'[name={name}]')).to_be_visible(visible=there)
