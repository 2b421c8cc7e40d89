// The form: what the piece should be, Generate, "longer", and how far a job has come.

import { ApiError } from './api.js';
import { $, $$, fill, tell } from './dom.js';
import * as words from './words.js';

const KEYS = ['C', 'C#', 'D', 'Eb', 'E', 'F', 'F#', 'G', 'Ab', 'A', 'Bb', 'B'].flatMap((tonic) => [
  `${tonic} major`,
  `${tonic} minor`,
]);
const SAID = ['prompt', 'tempo_bpm', 'key', 'chords', 'seconds']; // what the session itself remembers
const MOST_SEED = 2 ** 31;
const STEPS_SAID = 0.25; // of progress, between two words to a screen reader

export class ComposeForm {
  #form = $('#compose');
  #longer = $('#longer');
  #shown = {}; // the session's values as the fields had them last
  #said = null; // the share of a job that was said last
  #asking = false;
  #title = document.title;

  constructor(studio) {
    this.studio = studio;
    for (const key of KEYS) this.#form.elements.key.append(new Option(pretty(key), key));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (!$('#generate').disabled) this.compose({ do: 'compose' }, 'compose');
    });
    this.#form.addEventListener('change', (event) => {
      if (SAID.includes(event.target.name) && !studio.state.job) this.#settle('compose');
    });
    this.#longer.addEventListener('submit', (event) => {
      event.preventDefault();
      const seconds = Number(this.#longer.elements.seconds.value);
      const { session, about } = studio.state;
      const room = Math.max(0, about.limits.seconds - session.seconds);
      if (seconds > room) this.#tooLong('longer', seconds, room);
      else {
        this.compose({ do: 'continue', seconds, side: event.submitter?.value ?? 'end' }, 'longer');
      }
    });
    $('#cancel').addEventListener('click', () => studio.cancel());
    studio.subscribe((state) => this.#show(state));
  }

  /** Asks for music: first what is written above becomes the session's, then the action is done. */
  async compose(action, place) {
    if (this.#asking) return;
    const { steps, seed, control_guidance: scale } = this.#form.elements;
    const more = { seed: seed.value === '' ? anySeed() : Number(seed.value) };
    if (steps.value !== '') more.steps = Number(steps.value);
    if (scale.value !== '') more.control_guidance = Number(scale.value);
    this.#asking = true;
    try {
      if (await this.#settle(place)) await this.studio.act({ ...action, ...more }, place);
    } finally {
      this.#asking = false;
    }
  }

  /** Tells the server what was changed in the fields; whether that went well. */
  async #settle(place) {
    await this.studio.settled;
    const { session } = this.studio.state;
    const changed = {};
    for (const name of SAID) {
      const value = this.#read(name);
      if (value !== (session[name] ?? (name === 'tempo_bpm' ? 0 : ''))) changed[name] = value;
    }
    if (!Object.keys(changed).length) {
      this.studio.forgive(place);
      return true;
    }
    const most = this.studio.state.about.limits.seconds;
    if (changed.seconds > most) return this.#tooLong(place, changed.seconds, most);
    await this.studio.act({ do: 'set', ...changed }, place);
    return !this.studio.state.errors[place];
  }

  /** Says what this server allows: a session by itself may be longer than what it takes on. */
  #tooLong(place, seconds, most) {
    const line = `seconds: ${seconds}; allowed are up to ${words.short(most)} here`;
    this.studio.fail(place, new ApiError(line, { field: 'seconds', status: 400 }));
    return false;
  }

  /** A field as the server takes it; no tempo is 0. An empty length stays as it was. */
  #read(name) {
    const text = this.#form.elements[name].value.trim();
    const now = this.studio.state.session[name];
    // a number that nobody touched stays whole, though the field shows it rounded
    if (typeof now === 'number' && text === words.short(now)) return now;
    if (name === 'tempo_bpm') return Number(text);
    if (name !== 'seconds') return text;
    return text === '' ? now : Number(text);
  }

  #show(state) {
    const { about, session, job } = state;
    if (!about || !session) return;
    this.#fill(about, session);
    const open = session.lanes.filter((lane) => !lane.kept);
    // Only a job makes it wait: leaving a field tells the server of it, just as a press begins
    $('#generate').disabled = Boolean(job) || !open.length;
    tell($('#hint'), job ? '' : words.generates(session.lanes));
    this.#dots(session.lanes);
    for (const button of $$('button', this.#longer)) {
      button.disabled = Boolean(job) || !session.lanes.some((lane) => lane.take);
    }
    this.#showError(state.errors.compose, $('#compose-error'), this.#form);
    this.#showError(state.errors.longer, $('#longer-error'), this.#longer);
    this.#showJob(job);
  }

  /** Fields follow the session, but for what is being written. */
  #fill(about, session) {
    const { elements } = this.#form;
    for (const field of ['#chords', '#control']) $(field).hidden = !about.control;
    const values = {
      prompt: session.prompt,
      tempo_bpm: session.tempo_bpm === null ? '' : words.short(session.tempo_bpm),
      key: session.key ?? '',
      chords: session.chords ?? '',
      seconds: words.short(session.seconds),
    };
    for (const [name, value] of Object.entries(values)) {
      if (this.#shown[name] === value && this.#shown.id === session.id) continue;
      if (name === 'key' && value && !KEYS.includes(value)) {
        elements.key.append(new Option(pretty(value), value));
        KEYS.push(value);
      }
      fill(elements[name], value);
      this.#shown[name] = value;
    }
    this.#shown.id = session.id;
    elements.seconds.max = about.limits.seconds;
    elements.steps.max = about.limits.steps;
    elements.steps.placeholder = about.defaults.steps;
    const { seconds } = this.#longer.elements;
    if (seconds.value === '') seconds.value = words.short(about.window_s);
  }

  /** On the button a dot for each lane: full where it will be made. */
  #dots(lanes) {
    const dots = lanes.map((lane, i) => {
      const dot = document.createElement('i');
      dot.className = `hue-${i % 4} ${lane.kept ? 'is-kept' : ''}`;
      return dot;
    });
    $('#generate .dots').replaceChildren(...dots);
  }

  #showError(error, place, form) {
    tell(place, error && words.plainly(error));
    for (const field of form.elements) {
      if (!field.name) continue;
      if (error?.field === field.name) {
        field.setAttribute('aria-invalid', 'true');
        field.setAttribute('aria-describedby', place.id);
      } else {
        field.removeAttribute('aria-invalid');
        field.removeAttribute('aria-describedby');
      }
    }
  }

  #showJob(job) {
    $('#job').hidden = !job;
    document.title = job ? `${Math.floor(100 * job.progress)} % · ${this.#title}` : this.#title;
    if (!job) {
      this.#said = null;
      return;
    }
    const bar = $('#job-bar');
    if (job.state === 'running') bar.value = job.progress;
    else bar.removeAttribute('value');
    const text = words.progress(job);
    tell($('#job-text'), text);
    const due = this.#said === null || job.progress >= this.#said + STEPS_SAID;
    if (due && job.tracks.length) {
      this.#said = Math.floor(job.progress / STEPS_SAID) * STEPS_SAID;
      tell($('#say'), text);
      $('#say').hidden = false;
    }
  }
}

const pretty = (key) => key.replace('#', '♯').replace(/^([A-G])b/, '$1♭');

const anySeed = () => Math.floor(Math.random() * MOST_SEED);
