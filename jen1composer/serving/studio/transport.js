// One clock for all lanes. Every lane is a buffer as long as the piece, and all that sound were
// begun by the same rule: at the time `when` a source is begun at
//
//   (1) position(when) = fold(when - origin),   both on the grid of samples
//
// where fold wraps time into the loop, if there is one. So lanes agree to the sample, whenever each
// of them was begun: a new take takes over in the middle of a bar.

export const LEAD_S = 0.03; // how far ahead things are begun, so that all of them are in time
const FADE_S = 0.008; // of gains, against clicks

export class Transport extends EventTarget {
  #lanes = new Map(); // track -> {buffer, gain, source, gainNode, meter}
  #origin = 0; // context time at which the piece began, as if it had always been playing
  #rest = 0; // position while it does not play
  #playing = false;
  #loop = false;
  #range = null; // [from, to] to loop, or the whole piece

  constructor(context) {
    super();
    this.context = context;
    this.seconds = 0;
    this.out = context.createGain();
    this.out.connect(context.destination);
  }

  get playing() {
    return this.#playing;
  }

  get looping() {
    return this.#loop;
  }

  get canPlay() {
    return [...this.#lanes.values()].some((lane) => lane.buffer);
  }

  /** Seconds from the start of the piece, of what is heard now. */
  get position() {
    if (!this.#playing) return this.#rest;
    const heard = this.context.currentTime - (this.context.outputLatency || 0);
    return Math.max(0, Math.min(this.seconds, this.#fold(heard - this.#origin)));
  }

  /** Lanes as [{track, buffer or null, gain}], all buffers `seconds` long. */
  setLanes(lanes, seconds) {
    const when = this.#grid(this.context.currentTime + LEAD_S);
    this.seconds = seconds;
    for (const { track, buffer, gain } of lanes) {
      const lane = this.#lanes.get(track) ?? this.#newLane(track, gain);
      if (lane.gain !== gain) {
        lane.gain = gain;
        lane.gainNode.gain.setTargetAtTime(gain, this.context.currentTime, FADE_S);
      }
      if (lane.buffer === buffer) continue;
      lane.buffer = buffer;
      if (this.#playing) {
        this.#end(lane, when);
        this.#begin(lane, when);
      }
    }
    this.#rest = Math.min(this.#rest, seconds);
    if (this.#playing && !this.canPlay) this.pause();
  }

  /** Begins at `position`, or where it is; browsers allow it only after a person did something. */
  async play(position = this.#rest) {
    if (!this.canPlay) return;
    await this.context.resume();
    this.start(position);
  }

  /** As `play`, in a context that runs. */
  start(position = this.#rest) {
    const when = this.#grid(this.context.currentTime + LEAD_S);
    const [from, to] = this.#stretch();
    if (position < from || position >= to - 0.01) position = from;
    this.#stopAll(when);
    this.#origin = this.#grid(when - position);
    this.#playing = true;
    for (const lane of this.#lanes.values()) this.#begin(lane, when);
    this.#changed();
  }

  pause() {
    if (!this.#playing) return;
    this.#rest = this.position;
    this.#playing = false;
    this.#stopAll(this.context.currentTime);
    this.#changed();
  }

  seek(position) {
    this.#rest = Math.max(0, Math.min(this.seconds, position));
    if (this.#playing) this.start(this.#rest);
    else this.#changed();
  }

  /** Loops `range`, [from, to], or all of the piece. */
  setLoop(loop, range = null) {
    if (loop === this.#loop && String(range) === String(this.#range)) return;
    const position = this.position;
    [this.#loop, this.#range] = [loop, range];
    if (this.#playing) this.start(position);
    else this.#changed();
  }

  /** How loud a lane is just now, 0 to 1, after its gain. */
  level(track) {
    const lane = this.#lanes.get(track);
    if (!lane || !this.#playing) return 0;
    lane.meter.getFloatTimeDomainData(lane.samples);
    let most = 0;
    for (const sample of lane.samples) most = Math.max(most, Math.abs(sample));
    return Math.min(1, most);
  }

  #newLane(track, gain) {
    const gainNode = this.context.createGain();
    const meter = this.context.createAnalyser();
    meter.fftSize = 1024;
    gainNode.gain.value = gain;
    gainNode.connect(this.out);
    gainNode.connect(meter);
    const samples = new Float32Array(meter.fftSize);
    const lane = { buffer: null, gain, source: null, gainNode, meter, samples };
    this.#lanes.set(track, lane);
    return lane;
  }

  #begin(lane, when) {
    if (!lane.buffer) return;
    const source = this.context.createBufferSource();
    source.buffer = lane.buffer;
    source.loop = this.#loop;
    [source.loopStart, source.loopEnd] = this.#stretch();
    source.connect(lane.gainNode);
    source.onended = () => {
      if (lane.source === source) this.#atEnd(); // else another one took over
    };
    source.start(when, this.#grid(this.#fold(when - this.#origin)));
    lane.source = source;
  }

  #end(lane, when) {
    const source = lane.source;
    lane.source = null;
    source?.stop(when);
  }

  #stopAll(when) {
    for (const lane of this.#lanes.values()) this.#end(lane, when);
  }

  #atEnd() {
    if (!this.#playing || this.#loop) return;
    this.#playing = false;
    this.#rest = 0;
    for (const lane of this.#lanes.values()) lane.source = null; // they end by themselves
    this.#changed();
  }

  /** What is played: the loop, or all of it. */
  #stretch() {
    const [from, to] = (this.#loop && this.#range) || [0, this.seconds];
    return [this.#grid(from), this.#grid(Math.min(to, this.seconds))];
  }

  #fold(time) {
    const [from, to] = this.#stretch();
    if (!this.#loop || time < to) return time;
    return from + ((time - from) % (to - from));
  }

  #grid(seconds) {
    return Math.round(seconds * this.context.sampleRate) / this.context.sampleRate;
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }
}
