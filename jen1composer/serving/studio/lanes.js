// The lanes: each shows one track of the session, and hands on what is done with it.

import { $, fill, icon, press, tell } from './dom.js';
import { listenTo } from './lane_inputs.js';
import { Waveform } from './waveform.js';
import * as words from './words.js';

const SHORTEST_S = 0.05;

/** Decibels of silence at the left end of the slider. */
const OFF_DB = -40;

export const gainOf = (lane, anySolo) =>
  lane.muted || (anySolo && !lane.solo) ? 0 : 10 ** (lane.gain_db / 20);

export class LaneView {
  #drawn = null; // what the waveform shows: a take's key

  /**
   * `does` has what a lane asks for: compose(action, place), seek(seconds), and
   * loaded(track, buffer), which hears of what is to be heard.
   */
  constructor(track, number, studio, sounds, does) {
    Object.assign(this, { track, studio, sounds, does });
    const root = $('#lane-template').content.firstElementChild.cloneNode(true);
    this.root = root;
    root.classList.add(`hue-${(number - 1) % 4}`);
    root.dataset.track = track;
    root.setAttribute('aria-label', words.title(track));
    $('.name', root).textContent = words.title(track);
    $('.number', root).textContent = number;
    $('.drop', root).textContent = `Drop it here: it becomes the ${track}`;
    $('.file', root).setAttribute('aria-label', `Sound file for the ${track}`);
    $('#lanes').append(root);
    this.waveform = new Waveform($('.wave', root), {
      onPlace: (seconds) => {
        studio.select(track, null);
        does.seek(seconds);
      },
      onSpan: (span) => this.choose(span),
    });
    listenTo(this);
  }

  get lane() {
    return this.studio.lane(this.track);
  }

  get span() {
    const { span } = this.studio.state;
    return span?.track === this.track ? [span.from, span.to] : null;
  }

  /** Selects [from, to] of this lane, put right where it is not quite a stretch of the piece. */
  choose([from, to]) {
    const { seconds } = this.studio.state.session;
    const hundredths = (value) => Math.round(100 * value) / 100;
    const start = hundredths(Math.max(0, Math.min(from, to, seconds - SHORTEST_S)));
    const end = Math.min(seconds, Math.max(hundredths(to), start + SHORTEST_S));
    this.studio.select(this.track, [start, end]);
  }

  keep() {
    this.studio.act({ do: 'keep', track: this.track, kept: !this.lane.kept }, this.track);
  }

  regenerate() {
    if (this.lane.kept) {
      const line = `The ${this.track} is kept. Open it first to make it anew.`;
      this.studio.fail(this.track, new Error(line));
    } else {
      const spans = this.span ? [this.span] : [];
      this.does.compose({ do: 'regenerate', track: this.track, spans }, this.track);
    }
  }

  mute() {
    this.studio.mix(this.track, { muted: !this.lane.muted });
  }

  solo() {
    this.studio.mix(this.track, { solo: !this.lane.solo });
  }

  /** Shows the state; see `studio`. */
  show(state) {
    const { root, lane } = this;
    const take = lane.takes.find((one) => one.id === lane.take);
    const making = state.job?.tracks.includes(this.track);
    const blocked = Boolean(state.job) || state.busy.has(this.track);
    root.classList.toggle('is-kept', lane.kept);
    root.classList.toggle('is-selected', state.selected === this.track);
    root.classList.toggle('is-making', Boolean(making));
    root.classList.toggle('is-silent', gainOf(lane, this.studio.lanes.some((l) => l.solo)) === 0);
    root.setAttribute('aria-busy', String(Boolean(making)));
    this.#showHead(lane, blocked);
    this.#showTools(lane, take, blocked);
    tell($('.empty', root), making ? 'Being made…' : this.#emptiness(take, state));
    this.#showNote(take, state, blocked);
    tell($('.error', root), state.errors[this.track] && words.plainly(state.errors[this.track]));
    this.waveform.select(this.span);
    this.#draw(take, state.session);
  }

  #showHead(lane, blocked) {
    const { root } = this;
    const keep = $('.keep', root);
    press(keep, lane.kept);
    icon(keep, lane.kept ? 'kept' : 'open');
    $('span', keep).textContent = lane.kept ? 'Kept' : 'Keep';
    keep.title = lane.kept ? 'Open it, so that it can be made anew (K)' : 'Keep it as it is (K)';
    keep.disabled = blocked;
    press($('.mute', root), lane.muted);
    press($('.solo', root), lane.solo);
    const gain = $('.gain', root);
    const value = String(Math.max(OFF_DB, lane.gain_db));
    if (gain.value !== value) gain.value = value;
    const said = words.decibels(lane.gain_db);
    gain.setAttribute('aria-valuetext', said);
    $('.gain-text', root).textContent = said;
  }

  #showTools(lane, take, blocked) {
    const { root, span } = this;
    const again = $('.again', root);
    $('span', again).textContent = span ? 'Regenerate part' : 'Regenerate';
    again.disabled = blocked || lane.kept || Boolean(span && !take);
    const what = span ? `Regenerate ${words.span(span)}` : 'Regenerate all of it';
    again.title = lane.kept ? 'It is kept: open it first' : `${what} (R)`;
    again.setAttribute('aria-label', span ? what : 'Regenerate');
    root.classList.toggle('has-span', Boolean(span));
    $('.span-fields', root).hidden = !span;
    $('.select', root).hidden = Boolean(span);
    $('.select', root).disabled = !take;
    if (span) {
      fill($('.from', root), words.short(span[0]));
      fill($('.to', root), words.short(span[1]));
    }
    $('.vary', root).classList.toggle('is-off', !take || lane.kept);
    $('.vary-now', root).disabled = blocked || !take || lane.kept;
    const at = lane.takes.indexOf(take);
    $('.back', root).disabled = blocked || at < 1;
    $('.upload', root).disabled = blocked;
    this.#showTakes(lane, blocked);
    const made = take && take.seed !== null && take.seed !== undefined ? `seed ${take.seed}` : '';
    // the seed first: what there is no room for is cut at the end
    const about = [made, take?.prompt && `“${take.prompt}”`].filter(Boolean).join(' · ');
    $('.about', root).textContent = about;
    $('.about', root).title = about;
    $('.takes', root).title = about;
  }

  #showTakes(lane, blocked) {
    const list = $('.takes', this.root);
    const texts = lane.takes.map((take, i) => words.take(take, i + 1));
    const key = texts.join('\n');
    if (list.dataset.key !== key) {
      list.dataset.key = key;
      list.replaceChildren(...texts.map((text, i) => new Option(text, lane.takes[i].id)));
    }
    list.value = lane.take ?? '';
    list.hidden = !texts.length;
    list.disabled = blocked;
  }

  /** What is odd about a take, and what can be done about it. */
  #showNote(take, { session, about }, blocked) {
    const said = (take?.warnings ?? []).map(words.warning);
    const end = take ? take.start_s + take.seconds : 0;
    const isCut = take?.how === 'upload' && end > session.seconds + 0.01;
    if (isCut) said.push(`Your sound lasts ${words.short(take.seconds)} s; the piece ends before.`);
    const note = $('.note', this.root);
    tell($('span', note), said.join(' '));
    note.hidden = !said.length;
    const lengthen = $('.lengthen', note);
    lengthen.hidden = !isCut || end > about.limits.seconds;
    lengthen.disabled = blocked;
    lengthen.textContent = `Make the piece ${words.short(end)} s long`;
    lengthen.onclick = () => this.studio.act({ do: 'set', seconds: end }, this.track);
  }

  #emptiness(take, state) {
    if (state.busy.has(this.track) && !take) return 'One moment…';
    return take ? '' : 'No music yet. Generate, or drop a sound here.';
  }

  async #draw(take, session) {
    const key = take ? `${take.id} ${take.start_s} ${session.seconds}` : `none ${session.seconds}`;
    if (this.#drawn === key) return;
    this.#drawn = key;
    const { root } = this;
    root.classList.toggle('is-loading', Boolean(take));
    try {
      const broken = take?.warnings.includes('not finite');
      const buffer =
        take && !broken ? await this.sounds.heard(session.id, take, session.seconds) : null;
      if (this.#drawn !== key) return;
      await this.waveform.draw(buffer, session.seconds);
      this.waveform.select(this.span);
      this.#mark(take, session.seconds);
      this.does.loaded(this.track, buffer);
    } catch {
      if (this.#drawn !== key) return;
      this.does.loaded(this.track, null);
      this.studio.fail(this.track, new Error('Its sound could not be loaded. Reload the page.'));
    } finally {
      root.classList.remove('is-loading');
    }
  }

  /** A line under what was made of this take, where the rest of it was there before. */
  #mark(take, seconds) {
    const parts = (take?.made_s ?? []).filter(([from, to]) => to - from < take.seconds - 0.01);
    const marks = parts.map(([from, to]) => {
      const mark = document.createElement('i');
      mark.style.left = `${(100 * Math.max(0, from)) / seconds}%`;
      mark.style.right = `${100 - (100 * Math.min(seconds, to)) / seconds}%`;
      return mark;
    });
    $('.made', this.root).replaceChildren(...marks);
  }
}
