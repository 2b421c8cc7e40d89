// One lane's waveform, drawn by wavesurfer.js; sound comes from the transport, not from it.
// A click is a place, a drag is a stretch of time.

import RegionsPlugin from './vendor/wavesurfer/regions.esm.js';
import WaveSurfer from './vendor/wavesurfer/wavesurfer.esm.js';
import { peaks } from './sounds.js';

const NUM_PEAKS = 1600;
const MOST_GAIN = 6; // quiet lanes are drawn larger, up to so much
const SHORTEST_S = 0.05;

export class Waveform {
  #surfer;
  #regions = RegionsPlugin.create();
  #place;
  #buffer = null;
  #region = null;
  #adding = false;

  /** `onPlace(seconds)` hears of clicks, `onSpan([from, to])` of what was dragged over. */
  constructor(place, { onPlace, onSpan }) {
    this.#place = place;
    this.#surfer = WaveSurfer.create({
      container: place,
      height: 'auto',
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      cursorWidth: 0,
      interact: true,
      hideScrollbar: true,
      plugins: [this.#regions],
      ...this.#colours(),
    });
    this.#surfer.on('click', (x) => onPlace(x * this.#surfer.getDuration()));
    this.#regions.on('region-initialized', () => this.#begun());
    this.#regions.on('region-created', (region) => this.#made(region, onSpan));
    this.#regions.on('region-updated', (region) => this.#moved(region, onSpan));
    this.#regions.on('region-clicked', (region, event) => {
      event.stopPropagation();
      const box = place.getBoundingClientRect();
      onPlace(((event.clientX - box.left) / box.width) * this.#surfer.getDuration());
    });
    this.#regions.enableDragSelection({ color: this.#tint(), minLength: SHORTEST_S }, 5);
  }

  /** Draws a buffer, or nothing. */
  async draw(buffer, seconds) {
    if (buffer === this.#buffer) return;
    this.#buffer = buffer;
    const drawn = buffer ? peaks(buffer, NUM_PEAKS) : [new Float32Array(2), new Float32Array(2)];
    let most = 0;
    for (const channel of drawn) for (const value of channel) most = Math.max(most, value);
    const gain = most > 0 ? Math.min(MOST_GAIN, 0.92 / most) : 1;
    for (const channel of drawn) for (let i = 0; i < channel.length; i++) channel[i] *= gain;
    try {
      await this.#surfer.load('', drawn, seconds);
    } catch (error) {
      if (error.name !== 'AbortError') throw error; // the next one is being drawn already
    }
  }

  /** Shows `span`, [from, to], as selected, or nothing. */
  select(span) {
    const shown = this.#region && [this.#region.start, this.#region.end];
    if (String(shown) === String(span)) return;
    const old = this.#region;
    this.#region = null;
    old?.remove();
    if (!span || !this.#surfer.getDuration()) return;
    const [start, end] = span;
    this.#adding = true; // for the events that follow, which are not a person's
    this.#region = this.#regions.addRegion({ start, end, color: this.#tint() });
    this.#adding = false;
  }

  /** Takes the colours of the page anew, which may have turned dark. */
  recolour() {
    this.#surfer.setOptions(this.#colours());
    this.#region?.setOptions({ color: this.#tint() });
  }

  #begun() {
    if (this.#adding) return;
    this.#region?.remove();
    this.#region = null;
  }

  #made(region, onSpan) {
    if (this.#adding) return;
    this.#region = region;
    onSpan([region.start, region.end]);
  }

  #moved(region, onSpan) {
    if (region === this.#region) onSpan([region.start, region.end]);
  }

  #colours() {
    const { color } = getComputedStyle(this.#place);
    return { waveColor: color, progressColor: color };
  }

  #tint() {
    return getComputedStyle(this.#place).getPropertyValue('--tint') || 'rgb(128 128 128 / 25%)';
  }
}
