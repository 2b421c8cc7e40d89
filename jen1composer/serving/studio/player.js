// The transport's buttons, the ruler, and the line that runs through all lanes.

import { $, icon, press, tell } from './dom.js';
import { clock, short } from './words.js';

const TICKS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60];
const TICK_PX = 56; // at least so far apart

export class Player {
  #seeking = false;
  #ruled = '';

  constructor(transport, studio) {
    Object.assign(this, { transport, studio });
    const seek = $('#seek');
    $('#play').addEventListener('click', () => this.toggle());
    $('#to-start').addEventListener('click', () => this.seek(0));
    $('#loop').addEventListener('click', () => this.toggleLoop());
    seek.addEventListener('input', () => this.seek(Number(seek.value)));
    $('#ruler').addEventListener('pointerdown', (event) => {
      this.#seeking = true;
      $('#ruler').setPointerCapture(event.pointerId);
      this.#seekTo(event);
    });
    $('#ruler').addEventListener('pointermove', (event) => this.#seeking && this.#seekTo(event));
    for (const type of ['pointerup', 'pointercancel']) {
      $('#ruler').addEventListener(type, () => (this.#seeking = false));
    }
    transport.addEventListener('change', () => this.#show());
    studio.subscribe(() => this.#show());
    new ResizeObserver(() => this.#rule()).observe($('#ruler'));
  }

  async toggle() {
    if (this.transport.playing) {
      this.transport.pause();
      return;
    }
    try {
      await this.transport.play();
      tell($('#play-error'), '');
    } catch {
      tell($('#play-error'), 'This browser does not play sound just now. Is there a sound device?');
    }
  }

  seek(seconds) {
    this.transport.seek(seconds);
    this.#move();
  }

  toggleLoop() {
    this.transport.setLoop(!this.transport.looping, this.#span);
    this.#show();
  }

  get #span() {
    const { span } = this.studio.state;
    return span && [span.from, span.to];
  }

  #seekTo(event) {
    const box = $('#ruler .ticks').getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    this.seek(share * this.transport.seconds);
  }

  #show() {
    const { transport } = this;
    const { session } = this.studio.state;
    transport.setLoop(transport.looping, this.#span);
    $('#play').disabled = !transport.canPlay;
    $('#play').setAttribute('aria-label', transport.playing ? 'Pause' : 'Play');
    icon($('#play'), transport.playing ? 'pause' : 'play');
    press($('#loop'), transport.looping);
    const seconds = session?.seconds ?? 0;
    $('#seek').max = short(seconds, 3);
    tell($('#length'), clock(seconds));
    this.#rule();
    this.#move();
    if (transport.playing && !this.frame) this.#run();
  }

  #run() {
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.#move();
      if (this.transport.playing) this.#run();
    });
  }

  /** Everything that moves while music plays. */
  #move() {
    const { transport } = this;
    const { session } = this.studio.state;
    if (!session) return;
    const { position } = transport;
    const share = position / session.seconds || 0;
    document.documentElement.style.setProperty('--at', share.toFixed(5));
    const text = clock(position);
    if ($('#clock').textContent !== text) $('#clock').textContent = text;
    const seek = $('#seek');
    seek.value = position;
    seek.style.setProperty('--share', share.toFixed(4));
    seek.setAttribute('aria-valuetext', `${text} of ${clock(session.seconds)}`);
    for (const { track } of session.lanes) {
      const lane = $(`.lane[data-track="${CSS.escape(track)}"]`);
      lane?.style.setProperty('--level', transport.level(track).toFixed(3));
    }
  }

  /** Ticks of the ruler, as close as there is room. */
  #rule() {
    const seconds = this.studio.state.session?.seconds;
    const place = $('#ruler .ticks');
    const width = place.clientWidth;
    if (!seconds || !width) return;
    const step = TICKS.find((tick) => (tick / seconds) * width >= TICK_PX) ?? 120;
    const key = `${seconds} ${step}`;
    if (key === this.#ruled) return;
    this.#ruled = key;
    const ticks = [];
    for (let i = 0; i * step < seconds - step / 3; i++) {
      const tick = document.createElement('i');
      tick.textContent = short(i * step);
      tick.style.left = `${(100 * i * step) / seconds}%`;
      ticks.push(tick);
    }
    place.replaceChildren(...ticks);
  }
}
