// The sound of takes: fetched and decoded once, by id, and cut to the piece.

const WAITS_S = [1, 3]; // before a sound that did not come is asked for again
const ROOM_S = 400; // seconds of stereo sound that are held beside those in use: 150 MB

export class Sounds {
  #takes = new Map(); // take id -> promise of an AudioBuffer; the last used is the last
  #heard = new Map(); // of one piece: key -> promise of an AudioBuffer

  /** `fetchTake(sessionId, take)` gives the bytes of a take. */
  constructor(context, fetchTake) {
    this.context = context;
    this.fetchTake = fetchTake;
  }

  /** What is heard of a take in a piece of so many seconds: a buffer of just that length. */
  heard(sessionId, take, seconds) {
    const key = `${take.id} ${take.start_s ?? 0} ${seconds}`;
    if (!this.#heard.has(key)) {
      const cut = this.#take(sessionId, take).then((sound) => this.#cut(sound, take, seconds));
      cut.catch(() => this.#heard.delete(key));
      this.#heard.set(key, cut);
    }
    return this.#heard.get(key);
  }

  /** Lets go of all that is not of `takes`, as far as there is no room. */
  async keepOnly(takes) {
    const ids = new Set(takes.map((take) => take.id));
    for (const key of this.#heard.keys()) {
      if (!ids.has(key.split(' ')[0])) this.#heard.delete(key);
    }
    let held = 0;
    for (const [id, sound] of [...this.#takes].reverse()) {
      if (ids.has(id)) continue;
      held += (await sound.catch(() => null))?.duration ?? 0;
      if (held > ROOM_S) this.#takes.delete(id);
    }
  }

  #take(sessionId, take) {
    let sound = this.#takes.get(take.id);
    if (!sound) {
      sound = this.#fetch(sessionId, take).then((bytes) => this.context.decodeAudioData(bytes));
      sound.catch(() => this.#takes.delete(take.id));
    }
    this.#takes.delete(take.id);
    this.#takes.set(take.id, sound);
    return sound;
  }

  async #fetch(sessionId, take) {
    for (const wait of WAITS_S) {
      try {
        return await this.fetchTake(sessionId, take);
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 1000 * wait));
      }
    }
    return this.fetchTake(sessionId, take);
  }

  #cut(sound, take, seconds) {
    const rate = this.context.sampleRate;
    const length = Math.round(seconds * rate);
    const offset = Math.round((take.start_s ?? 0) * rate); // a take may begin before the piece
    if (!offset && sound.length === length) return sound;
    const piece = this.context.createBuffer(2, length, rate);
    for (const channel of [0, 1]) {
      const data = sound.getChannelData(Math.min(channel, sound.numberOfChannels - 1));
      const from = Math.max(0, -offset);
      const part = data.subarray(from, Math.max(from, Math.min(data.length, length - offset)));
      if (part.length) piece.copyToChannel(part, channel, Math.max(0, offset));
    }
    return piece;
  }
}

/** The largest magnitude in each of `count` stretches, for both channels: what is drawn. */
export function peaks(buffer, count) {
  return [0, 1].map((channel) => {
    const data = buffer.getChannelData(Math.min(channel, buffer.numberOfChannels - 1));
    const result = new Float32Array(count);
    for (let i = 0; i < count; i++) {
      const end = Math.floor(((i + 1) * data.length) / count);
      let most = 0;
      for (let j = Math.floor((i * data.length) / count); j < end; j++) {
        most = Math.max(most, Math.abs(data[j]));
      }
      result[i] = most;
    }
    return result;
  });
}
