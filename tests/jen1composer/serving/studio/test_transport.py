"""What is heard: rendered by the browser's own Web Audio, sample by sample."""

import numpy as np
import pytest
from playwright.sync_api import Page

from jen1composer.tracks import SAMPLE_RATE

# Plays lanes in a context that renders to memory; `steps` are done at their times meanwhile.
RENDER = """async ({lanes, seconds, length, from, loop, steps}) => {
  const {LEAD_S, Transport} = await import('/studio/transport.js');
  const rate = 48000, lead = Math.round(LEAD_S * rate);
  const context = new OfflineAudioContext(2, lead + length, rate);
  const transport = new Transport(context);
  const buffers = new Map();
  const made = (lanes) => lanes.map(({track, gain, sound}) => {
    const key = JSON.stringify(sound);
    if (sound && !buffers.has(key)) {
      const buffer = context.createBuffer(2, Math.round(seconds * rate), rate);
      let state = sound.seed;
      for (const channel of [0, 1]) {
        const data = buffer.getChannelData(channel);
        for (let i = 0; i < data.length; i++) {
          state = (Math.imul(state, 1664525) + 1013904223) | 0;
          data[i] = state / 2 ** 32;
        }
      }
      buffers.set(key, buffer);
    }
    return {track, gain, buffer: sound ? buffers.get(key) : null};
  });
  if (loop) transport.setLoop(true, loop === true ? null : loop);
  transport.setLanes(made(lanes), seconds);
  for (const {at, lanes, seek} of steps ?? []) {
    context.suspend(at).then(() => {
      if (lanes) transport.setLanes(made(lanes), seconds);
      if (seek !== undefined) transport.seek(seek);
      context.resume();
    });
  }
  transport.start(from ?? 0);
  const rendered = await context.startRendering();
  const source = [...buffers.values()][0];
  const plain = (buffer, skip) =>
    [0, 1].map((channel) => [...buffer.getChannelData(channel).subarray(skip)]);
  return {heard: plain(rendered, lead), source: plain(source, 0)};
}"""

SECONDS = 0.25


def render(page: Page, lanes: list, length_s: float, **how) -> tuple[np.ndarray, np.ndarray]:
    """(what is heard, the first lane's sound), [sample, 2]."""
    length = round(length_s * SAMPLE_RATE)
    found = page.evaluate(RENDER, {'lanes': lanes, 'seconds': SECONDS, 'length': length, **how})
    return np.array(found['heard']).T, np.array(found['source']).T


def lane(track: str, gain: float = 1.0, seed: int | None = 7) -> dict:
    return {'track': track, 'gain': gain, 'sound': None if seed is None else {'seed': seed}}


def test_a_lane_is_heard_sample_for_sample_from_where_one_seeks(studio):
    start = 1_000 / SAMPLE_RATE
    heard, source = render(studio.page, [lane('bass')], SECONDS, **{'from': start})
    np.testing.assert_allclose(heard[: len(source) - 1_000], source[1_000:], atol=1e-7)
    assert not heard[len(source) - 1_000 :].any()  # the piece ends


@pytest.mark.parametrize('loop', [True, [0.05, 0.13]])
def test_a_loop_begins_again_without_a_gap(studio, loop):
    heard, source = render(studio.page, [lane('bass')], 0.6, loop=loop)
    start, end = (0, SECONDS) if loop is True else loop
    part = source[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
    times = -(-len(heard) // len(part))
    np.testing.assert_allclose(heard, np.tile(part, (times, 1))[: len(heard)], atol=1e-7)


@pytest.mark.parametrize('loop', [False, True, [0.02, 0.21]])
def test_a_take_that_takes_over_while_music_plays_is_in_time_to_the_sample(studio, loop):
    """The same sound upside down, begun later in another lane, leaves nothing of the first."""
    both = [lane('bass'), lane('drums', gain=-1.0)]
    alone = [lane('bass'), lane('drums', gain=-1.0, seed=None)]
    at = 0.32 if loop else 0.09  # where it is looped, on the second way round
    steps = [{'at': round(at * SAMPLE_RATE / 128) * 128 / SAMPLE_RATE, 'lanes': both}]
    length_s = 0.6 if loop else SECONDS
    heard, _ = render(studio.page, alone, length_s, loop=loop, steps=steps)
    taken_over = round(steps[0]['at'] * SAMPLE_RATE) + 1  # it is heard a lead later, as all is
    assert np.square(heard[: taken_over - 1]).mean() > 0.01
    assert np.abs(heard[taken_over:]).max() == 0


def test_seeking_while_music_plays_leaves_lanes_in_time(studio):
    lanes = [lane('bass'), lane('drums', gain=-1.0)]
    steps = [{'at': 4_800 / SAMPLE_RATE, 'seek': 0.15}]
    heard, _ = render(
        studio.page, lanes, SECONDS, steps=[{**steps[0], 'at': 37 * 128 / SAMPLE_RATE}]
    )
    assert np.abs(heard).max() == 0


# Plays the session that is open as the page would: the same gains, the same takes.
MIX = """async (id) => {
  const {LEAD_S, Transport} = await import('/studio/transport.js');
  const {Sounds} = await import('/studio/sounds.js');
  const {gainOf} = await import('/studio/lanes.js');
  const {show, takeSound} = await import('/studio/api.js');
  const session = await show(id);
  const rate = 48000, lead = Math.round(LEAD_S * rate);
  const context = new OfflineAudioContext(2, lead + Math.round(session.seconds * rate), rate);
  const sounds = new Sounds(context, takeSound);
  const anySolo = session.lanes.some((lane) => lane.solo);
  const lanes = await Promise.all(session.lanes.map(async (lane) => {
    const take = lane.takes.find((one) => one.id === lane.take);
    const buffer = await sounds.heard(session.id, take, session.seconds);
    return {track: lane.track, buffer, gain: gainOf(lane, anySolo)};
  }));
  const transport = new Transport(context);
  transport.setLanes(lanes, session.seconds);
  transport.start(0);
  const rendered = await context.startRendering();
  return [0, 1].map((channel) => [...rendered.getChannelData(channel).subarray(lead)]);
}"""


def test_what_the_page_plays_is_the_mix_that_is_downloaded(studio, server):
    client, id = server.client, studio.id
    client.done(id, do='continue', seconds=0.25, side='start')  # takes that begin before others
    client.done(id, do='undo')
    client.done(id, do='continue', seconds=0.5, side='start', tracks=['bass', 'melody'])
    client.done(id, do='mix', track='bass', gain_db=-4.5)
    client.done(id, do='mix', track='melody', gain_db=3.0)
    client.done(id, do='mix', track='drums', muted=True)
    mix = client.get(f'/api/sessions/{id}/mix.wav').sound
    heard = np.array(studio.page.evaluate(MIX, id)).T
    assert heard.shape == mix.shape
    noise = np.square(heard - mix).mean()  # takes come as FLAC, of 24 bits
    assert 10 * np.log10(np.square(mix).mean() / noise) > 80
