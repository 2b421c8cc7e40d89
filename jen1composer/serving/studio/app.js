// Puts the studio together. What happens after that is in `studio.js`.

import * as api from './api.js';
import { ComposeForm } from './compose.js';
import { $, menusClose, tell } from './dom.js';
import { Files } from './files.js';
import { listenToKeys } from './keys.js';
import { gainOf, LaneView } from './lanes.js';
import { Pieces } from './pieces.js';
import { Player } from './player.js';
import { Sounds } from './sounds.js';
import { Studio } from './studio.js';
import { Transport } from './transport.js';

const context = new AudioContext({ sampleRate: 48_000, latencyHint: 'interactive' });
const studio = new Studio();
const transport = new Transport(context);
const sounds = new Sounds(context, api.takeSound);
const views = new Map(); // track -> LaneView
const buffers = new Map(); // track -> what is heard of it, an AudioBuffer or null

const form = new ComposeForm(studio);
const player = new Player(transport, studio);
new Files(studio);
new Pieces(studio);
menusClose();

/** What is heard follows what is shown. */
function sound() {
  const { session } = studio.state;
  const anySolo = session.lanes.some((lane) => lane.solo);
  const lanes = session.lanes.map((lane) => ({
    track: lane.track,
    buffer: fitting(buffers.get(lane.track), session.seconds),
    gain: gainOf(lane, anySolo),
  }));
  transport.setLanes(lanes, session.seconds);
}

/** A buffer that is as long as the piece; one from before it became longer is not heard. */
function fitting(buffer, seconds) {
  return buffer?.length === Math.round(seconds * context.sampleRate) ? buffer : null;
}

const does = {
  compose: (action, place) => form.compose(action, place),
  seek: (seconds) => player.seek(seconds),
  loaded: (track, buffer) => {
    buffers.set(track, buffer);
    sound();
    studio.change({});
    const inUse = studio.lanes.map((lane) => lane.takes.find((take) => take.id === lane.take));
    sounds.keepOnly(inUse.filter(Boolean));
  },
};

let said = '';
studio.subscribe((state) => {
  if (!state.session) return;
  for (const [i, { track }] of state.session.lanes.entries()) {
    if (!views.has(track)) views.set(track, new LaneView(track, i + 1, studio, sounds, does));
    views.get(track).show(state);
  }
  sound();
  document.body.classList.add('is-ready');
  if (state.notice !== said) {
    said = state.notice;
    tell($('#say'), said);
    $('#say').hidden = false;
  }
});

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const view of views.values()) view.waveform.recolour();
});
window.addEventListener('hashchange', () => {
  const id = location.hash.slice(1);
  if (id) studio.open(id);
});
window.addEventListener('focus', () => studio.look());
document.addEventListener('visibilitychange', () => document.hidden || studio.look());
for (const type of ['dragover', 'drop']) {
  // a file that is dropped beside a lane must not take the page's place
  window.addEventListener(type, (event) => event.preventDefault());
}

try {
  await studio.boot();
  listenToKeys({ studio, player, views });
} catch (error) {
  studio.fail('top', error);
}
