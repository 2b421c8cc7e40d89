// The state of the studio, and what can be done in it. State flows one way:
//
//   a person does something -> the server says what the session is now -> everything is shown anew
//
// Whoever shows something subscribes, and reads `state`; nobody else writes it.

import * as api from './api.js';
import { list, plainly, title } from './words.js';

const REMEMBERED = 'jen1composer.session';
const TOP = 'top';

export class Studio {
  state = {
    about: null, // what the server is
    session: null, // as the server says it
    job: null, // the one at work in the session: {id, place, state, progress, left_s, tracks}
    selected: null, // track
    span: null, // {track, from, to}: what is selected, in seconds
    busy: new Set(), // places where something short is under way
    errors: {}, // place -> ApiError
    notice: '', // what has just happened, for a screen reader
  };
  #listeners = [];
  #queue = Promise.resolve(); // actions go one after another
  #mixing = new Map(); // track -> what of its mix the server is not told yet

  subscribe(listener) {
    this.#listeners.push(listener);
  }

  change(patch) {
    Object.assign(this.state, patch);
    for (const listener of this.#listeners) listener(this.state);
  }

  get lanes() {
    return this.state.session?.lanes ?? [];
  }

  lane(track) {
    return this.lanes.find((lane) => lane.track === track);
  }

  // Sessions

  /** Opens the session of the address or the last one here, or else begins one with music in it. */
  async boot() {
    this.change({ about: await this.#patiently(() => api.about()) });
    const id = location.hash.slice(1) || localStorage.getItem(REMEMBERED);
    let isGone = false;
    if (id) {
      try {
        return this.#enter(await this.#patiently(() => api.show(id)));
      } catch (error) {
        if (![400, 404, 422].includes(error.status)) throw error;
        isGone = true;
      }
    }
    this.#enter(await this.#patiently(() => api.begin({ starter: true })));
    if (isGone) this.fail(TOP, new Error('The session that was here is gone; this is a new one.'));
    return undefined;
  }

  begin(how) {
    return this.#doing(TOP, async () => this.#enter(await api.begin(how)));
  }

  open(id) {
    if (id === this.state.session?.id) return undefined;
    return this.#doing(TOP, async () => this.#enter(await api.show(id)));
  }

  openFile(file) {
    const { import_bytes: most, upload_bytes: other } = this.state.about.limits;
    if (this.#isTooLarge(file, most ?? other, TOP)) return undefined;
    return this.#doing(TOP, async () => this.#enter(await api.openFile(file)));
  }

  /** Deletes a session for good; after the one that is open comes the one worked on before. */
  remove(id) {
    return this.#doing(TOP, async () => {
      if (id === this.state.session.id && this.state.job) {
        throw new Error('Music is being made in this piece: cancel that before you delete it.');
      }
      await api.remove(id);
      this.change({ notice: 'Deleted.' });
      if (id !== this.state.session.id) return;
      const [last] = (await api.sessions()).sessions;
      this.#enter(last ? await api.show(last.id) : await api.begin({ starter: true }));
    });
  }

  #enter(session) {
    localStorage.setItem(REMEMBERED, session.id);
    if (location.hash.slice(1) !== session.id) history.replaceState(null, '', `#${session.id}`);
    this.#mixing.clear();
    const selected = this.state.selected ?? session.lanes[0].track;
    this.change({ session, selected, span: null, job: null });
    if (session.job) this.#follow(session.job, TOP);
  }

  // Actions

  /** Does an action; what goes wrong is said at `place`, a track or a part of the page. */
  act(action, place) {
    return this.#doing(place, async () => {
      const { id } = this.state.session;
      await this.#sendMix();
      // keys are faster than answers: what was pressed once too often has nothing to do
      if (['undo', 'redo'].includes(action.do) && !this.state.session[`can_${action.do}`]) return;
      const answer = await api.act(id, action);
      if (answer.job) this.#follow(answer.job, place);
      else this.#show(answer);
    });
  }

  upload(track, file) {
    if (this.#isTooLarge(file, this.state.about.limits.upload_bytes, track)) return undefined;
    return this.#doing(track, async () => {
      this.#show(await api.upload(this.state.session.id, track, file));
      this.change({ notice: `${file.name} is now the ${track}, and is kept.` });
    });
  }

  /** Gain, mute and solo: heard at once, and told to the server as soon as it listens. */
  mix(track, patch) {
    this.#mixing.set(track, { ...this.#mixing.get(track), ...patch });
    this.#show(this.state.session);
    clearTimeout(this.mixTimer);
    this.mixTimer = setTimeout(() => {
      if (!this.state.job) this.#doing(track, () => this.#sendMix());
    }, 250);
  }

  /** Shows what was done in the session elsewhere meanwhile, in another window say. */
  look() {
    this.#queue = this.#queue.then(async () => {
      if (!this.state.session || this.state.job) return; // the end of a job shows all that is new
      try {
        await this.#refresh();
      } catch {
        // nobody asked for it: what is asked next says what is wrong
      }
    });
    return this.#queue;
  }

  /** Comes when all that was asked for is done, but for music. */
  get settled() {
    return this.#queue;
  }

  select(track, span = null) {
    this.change({ selected: track, span: span && { track, from: span[0], to: span[1] } });
  }

  cancel() {
    const { job } = this.state;
    return this.#doing(job.place, () => api.cancel(job.id));
  }

  fail(place, error) {
    this.change({ errors: { ...this.state.errors, [place]: error } });
  }

  /** Takes back an error that is no longer true. */
  forgive(place) {
    if (this.state.errors[place]) this.fail(place, null);
  }

  // Inside

  /** Whether a file is more than the server takes, which is said before it is sent for nothing. */
  #isTooLarge(file, most, place) {
    if (file.size <= most) return false;
    const [is, allowed] = [Math.ceil(file.size / 2 ** 20), Math.floor(most / 2 ** 20)];
    const line = `This server takes up to ${allowed} MB; ${file.name} has ${is} MB.`;
    this.fail(place, new Error(line));
    return true;
  }

  /** Runs `work` after what runs already; an error ends up at `place`. */
  #doing(place, work) {
    const done = this.#queue.then(async () => {
      this.forgive(place);
      this.state.busy.add(place);
      this.change({});
      try {
        await work();
        this.#answers();
      } catch (error) {
        if (error.status === 409 && this.state.session) await this.#refresh();
        this.fail(place, error);
      } finally {
        this.state.busy.delete(place);
        this.change({});
      }
    });
    this.#queue = done;
    return done;
  }

  #show(session) {
    const lanes = session.lanes.map((lane) => ({ ...lane, ...this.#mixing.get(lane.track) }));
    const span = moved(this.state.span, shift(this.state.session, session), session.seconds);
    this.change({ session: { ...session, lanes }, span });
  }

  /** The server answers: what says that it does not is no longer true, wherever it stands. */
  #answers() {
    const errors = Object.entries(this.state.errors);
    const silent = errors.filter(([, error]) => error?.status === 0);
    for (const [place] of silent) this.forgive(place);
  }

  async #refresh() {
    const session = await api.show(this.state.session.id);
    if (session.revision !== this.state.session.revision) this.#show(session);
    if (session.job && !this.state.job) this.#follow(session.job, TOP);
  }

  async #sendMix() {
    for (const [track, patch] of this.#mixing) {
      const session = await api.act(this.state.session.id, { do: 'mix', track, ...patch });
      if (this.#mixing.get(track) === patch) this.#mixing.delete(track);
      this.#show(session);
    }
  }

  async #follow(id, place) {
    const session = this.state.session.id;
    const here = () => this.state.session.id === session;
    const job = { id, place, state: 'queued', progress: 0, left_s: null, tracks: [] };
    this.change({ job });
    let ended;
    try {
      ended = await api.follow(id, (value) => {
        if (value.state !== 'unreachable') this.#answers();
        if (here()) this.change({ job: { ...this.state.job, ...value } });
      });
      this.#answers();
    } catch (error) {
      ended = { state: 'failed', error: error.message };
    }
    if (!here()) return;
    try {
      this.#show(await api.show(session));
    } catch (error) {
      this.fail(place, error);
    }
    this.change({ job: null, notice: ending(ended) });
    if (ended.state === 'failed') {
      this.fail(place, new Error(ended.error ?? 'It could not be made.'));
    }
    if (this.#mixing.size) this.#doing(place, () => this.#sendMix());
  }

  /** Asks again while the server starts. */
  async #patiently(request) {
    for (;;) {
      try {
        const answer = await request();
        this.forgive(TOP);
        return answer;
      } catch (error) {
        if (error.status !== 503 && error.status !== 0) throw error;
        const line = error.status ? 'The composer is getting ready: one moment.' : plainly(error);
        this.fail(TOP, new Error(line));
        await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? 2)));
      }
    }
  }
}

/** Seconds by which music that is in both sessions begins later in the second one. */
function shift(before, after) {
  const starts = (session) =>
    new Map(session.lanes.flatMap((lane) => lane.takes.map((take) => [take.id, take.start_s])));
  const then = starts(before);
  for (const [id, start] of starts(after)) if (then.has(id)) return start - then.get(id);
  return 0;
}

/** A selection goes where its music goes; it ends where that leaves the piece. */
function moved(span, by, seconds) {
  if (!span) return null;
  const [from, to] = [span.from + by, span.to + by];
  return from > -1e-6 && to < seconds + 1e-6 ? { ...span, from: Math.max(0, from), to } : null;
}

function ending({ state, tracks }) {
  if (state === 'done') return tracks?.length ? `${title(list(tracks))}: made.` : 'Made.';
  return state === 'cancelled' ? 'Cancelled; nothing has changed.' : '';
}
