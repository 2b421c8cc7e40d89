"""The page in a real browser, with a server of the tiny composer behind it."""

import json
import pathlib
import zipfile

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect

from jen1composer.tracks import SAMPLE_RATE, TRACKS
from tests.jen1composer.serving.client import Client, Server
from tests.jen1composer.serving.studio.browser import Studio, browser


def heard(client: Client, session: str) -> dict[str, np.ndarray]:
    """What each lane of a session plays before gains, of the length of the piece."""
    said = client.get(f'/api/sessions/{session}').json
    result = {}
    for lane in said['lanes']:
        sound = client.get(f'/api/sessions/{session}/takes/{lane["take"]}.wav').sound
        result[lane['track']] = sound[: round(said['seconds'] * SAMPLE_RATE)]
    return result


def write_sound(path: pathlib.Path, seconds: float, rate: int = SAMPLE_RATE) -> pathlib.Path:
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * 110 * time) * np.hanning(len(time))
    soundfile.write(path, np.stack([wave, wave], axis=1), rate, subtype='FLOAT')
    return path


def test_a_whole_composition(studio, server, tmp_path):
    page, client = studio.page, server.client
    asked: list[str] = []
    page.on('request', lambda request: asked.append(request.url))
    first = {track: studio.take(track) for track in TRACKS}
    assert all(first.values())  # it opens with music in it

    page.fill('[name=prompt]', 'slow heavy rock')
    page.fill('[name=tempo_bpm]', '90')
    page.select_option('[name=key]', 'A minor')
    studio.generate()
    second = {track: studio.take(track) for track in TRACKS}
    assert all(second[track] != first[track] for track in TRACKS)

    for track in ('bass', 'drums'):
        studio.in_lane(track, '.keep').click()
        expect(studio.in_lane(track, '.keep')).to_have_attribute('aria-pressed', 'true')
    expect(page.locator('#hint')).to_have_text(
        'Makes instrument and melody to go with bass and drums.'
    )
    studio.generate()
    third = {track: studio.take(track) for track in TRACKS}
    assert {t for t in TRACKS if third[t] != second[t]} == {'instrument', 'melody'}

    mine = write_sound(tmp_path / 'mine.wav', 1.0)
    studio.in_lane('melody', '.file').set_input_files(mine)
    expect(studio.in_lane('melody', '.keep')).to_have_text('Kept')
    studio.ready()

    studio.in_lane('instrument', '.solo').click()
    studio.in_lane('bass', '.solo').click()
    studio.in_lane('bass', '.gain').fill('-6')
    studio.in_lane('melody', '.mute').click()
    studio.in_lane('instrument', '.solo').click()
    studio.in_lane('bass', '.solo').click()
    expect(studio.in_lane('bass', '.gain-text')).to_have_text('−6 dB')

    def mixed() -> dict[str, tuple]:
        lanes = client.get(f'/api/sessions/{studio.id}').json['lanes']
        return {lane['track']: (lane['gain_db'], lane['muted'], lane['solo']) for lane in lanes}

    wanted = dict.fromkeys(TRACKS, (0, False, False))
    wanted |= {'bass': (-6, False, False), 'melody': (0, True, False)}
    for _ in range(100):
        if mixed() == wanted:
            break
        page.wait_for_timeout(50)
    assert mixed() == wanted

    said = client.get(f'/api/sessions/{studio.id}').json
    lanes = heard(client, studio.id)
    gains = {'bass': 10 ** (-6 / 20), 'drums': 1, 'instrument': 1, 'melody': 0}
    mix, rate = soundfile.read(studio.download('mix.wav', tmp_path), dtype='float32')
    assert rate == SAMPLE_RATE
    assert mix.shape == (round(said['seconds'] * SAMPLE_RATE), 2)
    assert np.isfinite(mix).all()
    assert np.square(mix).mean() > 1e-8
    total = np.zeros_like(mix)
    for track, sound in lanes.items():
        total[: len(sound)] += gains[track] * sound
    np.testing.assert_allclose(mix, total, atol=1e-6)

    stems = studio.download('stems.zip?kind=wav', tmp_path)
    with zipfile.ZipFile(stems) as archive:
        archive.extractall(tmp_path / 'stems')
    facts = json.loads((tmp_path / 'stems' / 'stems.json').read_text())
    files = [stem['file'] for stem in facts['stems'].values() if stem['audible']]
    assert len(files) == 3
    sounds = [soundfile.read(tmp_path / 'stems' / file, dtype='float32')[0] for file in files]
    np.testing.assert_allclose(mix, np.sum(sounds, axis=0), atol=1e-6)

    now = {track: studio.take(track) for track in TRACKS}
    session = studio.id
    page.goto('about:blank')
    studio.open()  # without the session in the address: it is remembered
    assert studio.id == session
    assert {track: studio.take(track) for track in TRACKS} == now
    assert page.input_value('[name=prompt]') == 'slow heavy rock'
    assert studio.in_lane('bass', '.gain').input_value() == '-6'

    file = studio.download('session.zip', tmp_path)
    page.locator('#session-file').set_input_files(file)
    expect(page).not_to_have_url(f'{studio.address}#{session}')
    studio.ready()
    assert {track: studio.take(track) for track in TRACKS} == now

    assert all(url.startswith((studio.address, 'blob:')) for url in asked)  # nothing from elsewhere


def test_only_the_selected_part_is_made_anew(studio, server):
    first, before = studio.take('drums'), heard(server.client, studio.id)
    seconds = len(before['drums']) / SAMPLE_RATE
    studio.drag_over('drums', 0.4, 0.7)
    expect(studio.in_lane('drums', '.span-fields')).to_be_visible()
    from_s = float(studio.in_lane('drums', '.from').input_value())
    to_s = float(studio.in_lane('drums', '.to').input_value())
    np.testing.assert_allclose([from_s, to_s], [0.4 * seconds, 0.7 * seconds], atol=0.03 * seconds)
    studio.in_lane('drums', '.again').click()
    expect(studio.page.locator('#job')).to_be_visible()
    studio.made()
    after = heard(server.client, studio.id)
    start, end = round(from_s * SAMPLE_RATE), round(to_s * SAMPLE_RATE)
    changed = np.flatnonzero((after['drums'] != before['drums']).any(axis=1))
    assert len(changed)
    assert start <= changed[0]
    assert changed[-1] < end
    for track in ('bass', 'instrument', 'melody'):
        np.testing.assert_array_equal(after[track], before[track])
    studio.in_lane('drums', '.back').click()  # this lane's take before
    expect(studio.in_lane('drums', '.takes')).to_have_value(first)
    np.testing.assert_array_equal(heard(server.client, studio.id)['drums'], before['drums'])


def test_a_piece_gets_longer_and_a_track_is_varied(studio):
    page = studio.page
    page.fill('#longer [name=seconds]', '0.5')
    page.click('#longer button[value=end]')
    expect(page.locator('#job')).to_be_visible()
    studio.made()
    expect(page.locator('#length')).to_have_text('0:02.0')
    studio.in_lane('melody', '.vary summary').click()
    studio.in_lane('melody', '.strength').fill('0.3')
    studio.in_lane('melody', '.vary-now').click()
    expect(page.locator('#job')).to_be_visible()
    studio.made()
    expect(studio.in_lane('melody', '.takes option:checked')).to_have_text('Take 3 · varied · 30 %')


def test_a_selection_stays_on_its_music_when_the_piece_begins_earlier(studio):
    page = studio.page
    studio.in_lane('bass', '.select').click()
    studio.in_lane('bass', '.from').fill('0.2')
    studio.in_lane('bass', '.to').fill('0.6')
    studio.in_lane('bass', '.to').press('Tab')
    expect(studio.in_lane('bass', '.to')).to_have_value('0.6')
    page.fill('#longer [name=seconds]', '0.5')
    page.click('#longer button[value=start]')
    expect(page.locator('#job')).to_be_visible()
    studio.made()
    expect(page.locator('#length')).to_have_text('0:02.0')
    expect(studio.in_lane('bass', '.from')).to_have_value('0.7')
    expect(studio.in_lane('bass', '.to')).to_have_value('1.1')
    page.click('#undo')
    expect(studio.in_lane('bass', '.to')).to_have_value('0.6')
    page.click('#redo')
    expect(studio.in_lane('bass', '.to')).to_have_value('1.1')
    studio.in_lane('bass', '.from').fill('0.3')  # partly in what undo takes away
    studio.in_lane('bass', '.from').press('Tab')
    page.click('#undo')
    expect(page.locator('#length')).to_have_text('0:01.5')
    expect(studio.in_lane('bass', '.span-fields')).to_be_hidden()


def test_keys_do_what_the_help_says_but_not_while_somebody_writes(studio):
    page = studio.page
    pressed = ('aria-pressed', 'true')
    page.locator('[name=prompt]').fill('')
    page.locator('[name=prompt]').press_sequentially('krz 1 ms')
    expect(page.locator('[name=prompt]')).to_have_value('krz 1 ms')
    expect(page.locator('[aria-pressed=true]')).to_have_count(0)
    expect(page.locator('#play')).to_have_attribute('aria-label', 'Play')

    page.locator('h1').click()
    page.keyboard.press('3')
    expect(studio.lane('instrument')).to_be_focused()
    page.keyboard.press('k')
    expect(studio.in_lane('instrument', '.keep')).to_have_attribute(*pressed)
    page.keyboard.press('r')  # it is kept: this is said, and nothing is made
    expect(studio.in_lane('instrument', '.error')).to_contain_text('is kept')
    page.keyboard.press('z')
    expect(studio.in_lane('instrument', '.keep')).to_have_attribute('aria-pressed', 'false')
    page.keyboard.press('Shift+Z')
    expect(studio.in_lane('instrument', '.keep')).to_have_attribute(*pressed)
    page.keyboard.press('2')
    page.keyboard.press('r')
    expect(page.locator('#job')).to_be_visible()
    studio.made()
    expect(studio.in_lane('drums', '.takes option')).to_have_count(2)

    page.keyboard.press('l')
    expect(page.locator('#loop')).to_have_attribute(*pressed)
    page.keyboard.press('Space')
    expect(page.locator('#play')).to_have_attribute('aria-label', 'Pause')
    expect(page.locator('#clock')).not_to_have_text('0:00.0')
    page.keyboard.press('Space')
    expect(page.locator('#play')).to_have_attribute('aria-label', 'Play')
    page.keyboard.press('?')
    expect(page.locator('#help')).to_be_visible()
    page.keyboard.press('Escape')
    studio.in_lane('bass', '.mute').click()
    page.keyboard.press('Space')  # after a press with the mouse, space plays
    expect(page.locator('#play')).to_have_attribute('aria-label', 'Pause')
    expect(studio.in_lane('bass', '.mute')).to_have_attribute(*pressed)


def test_errors_are_said_where_they_happen(studio, tmp_path):
    page = studio.page
    (tmp_path / 'words.wav').write_text('no sound')
    studio.in_lane('bass', '.file').set_input_files(tmp_path / 'words.wav')
    expect(studio.in_lane('bass', '.error')).to_contain_text('not sound that can be read')
    studio.in_lane('bass', '.file').set_input_files(write_sound(tmp_path / 'long.wav', 2.5))
    expect(studio.in_lane('bass', '.note')).to_contain_text('Your sound lasts 2.5 s')
    expect(studio.in_lane('bass', '.error')).to_be_hidden()  # it is no longer true
    studio.in_lane('bass', '.lengthen').click()
    expect(page.locator('#length')).to_have_text('0:02.5')

    tempo = page.locator('[name=tempo_bpm]')
    tempo.fill('999')
    page.click('#generate')
    expect(page.locator('#compose-error')).to_contain_text('Tempo: 999')
    expect(tempo).to_have_attribute('aria-invalid', 'true')
    expect(page.locator('#job')).to_be_hidden()
    tempo.fill('')
    tempo.press('Tab')
    expect(page.locator('#compose-error')).to_be_hidden()
    for track in TRACKS[1:]:
        studio.in_lane(track, '.keep').click()
    expect(page.locator('#hint')).to_have_text('Every track is kept. Open one to make it anew.')
    expect(page.locator('#generate')).to_be_disabled()


def test_what_is_being_made_can_be_left_found_again_and_cancelled(studio, server):
    page = studio.page
    before = {track: studio.take(track) for track in TRACKS}
    page.click('.more summary')
    page.fill('[name=steps]', '100')
    page.click('#generate')
    expect(page.locator('#job-text')).to_contain_text('% ')
    expect(studio.in_lane('bass', '.keep')).to_be_disabled()
    studio.in_lane('bass', '.mute').click()  # the mix is open meanwhile
    expect(studio.in_lane('bass', '.mute')).to_have_attribute('aria-pressed', 'true')
    page.reload()
    studio.ready()
    expect(page.locator('#job-text')).to_contain_text('Making bass, drums, instrument and melody')
    page.click('#cancel')
    expect(page.locator('#say')).to_contain_text('Cancelled')
    studio.made()
    assert {track: studio.take(track) for track in TRACKS} == before
    assert server.client.get(f'/api/sessions/{studio.id}').json['job'] is None


def test_a_session_that_is_gone_is_said_to_be_gone(page, server):
    studio = Studio(page, server.port)
    studio.address += '#' + 32 * '0'
    studio.open()
    expect(page.locator('#top-error')).to_contain_text('is gone')
    assert studio.id != 32 * '0'


def test_that_the_server_does_not_answer_is_said_until_it_answers(studio):
    page, kept = studio.page, studio.in_lane('bass', '.keep')
    page.route('**/actions', lambda route: route.abort())
    kept.click()
    expect(studio.in_lane('bass', '.error')).to_contain_text('does not answer')
    page.fill('[name=prompt]', 'no way')
    page.press('[name=prompt]', 'Tab')
    expect(page.locator('#compose-error')).to_contain_text('does not answer')
    page.unroute('**/actions')
    studio.in_lane('drums', '.keep').click()
    expect(studio.in_lane('drums', '.keep')).to_have_text('Kept')
    expect(studio.in_lane('bass', '.error')).to_be_hidden()
    expect(page.locator('#compose-error')).to_be_hidden()


@pytest.mark.slow
@pytest.mark.usefixtures('chromium')
def test_what_is_being_made_outlives_a_server_that_is_killed(tmp_path):
    server = Server(tmp_path / 'server', step_s=0.1)
    try:
        with browser(tmp_path / 'profile') as page:
            studio = Studio(page, server.port).open()
            before = studio.take('bass')
            page.click('#generate')
            expect(page.locator('#job-text')).to_contain_text('% ')
            server.kill()
            expect(page.locator('#job-text')).to_contain_text('does not answer')
            server.start()
            studio.made()
            expect(studio.in_lane('bass', '.takes')).not_to_have_value(before)
    finally:
        server.kill()
