// How things are said. Plain functions from values to text.

const LABELS = {
  prompt: 'Prompt', tempo_bpm: 'Tempo', key: 'Key', chords: 'Chords', seconds: 'Length', seed: 'Seed', steps: 'Steps',
  control_guidance: 'Scale on tempo, key and chords',
  file: 'This file', gain_db: 'Gain', spans: 'The selection', strength: 'Strength',
};

/** An error as a sentence: fields by the names that the page gives them. */
export function plainly(error) {
  const line = String(error.message ?? error);
  const found = /^(\w+): (.*)$/s.exec(line);
  const text = found && LABELS[found[1]] ? `${LABELS[found[1]]}: ${found[2]}` : line;
  const ended = /[.!?…)]$/.test(text) ? text : `${text}.`;
  return ended[0].toUpperCase() + ended.slice(1);
}

export const title = (name) => name[0].toUpperCase() + name.slice(1);

/** "bass", "bass and drums", "bass, drums and melody" */
export function list(names) {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

/** 83.25 -> "1:23.2" */
export function clock(seconds) {
  const tenths = Math.floor(Math.max(0, seconds) * 10 + 1e-6);
  const rest = String(Math.floor(tenths / 10) % 60).padStart(2, '0');
  return `${Math.floor(tenths / 600)}:${rest}.${tenths % 10}`;
}

/** At most `digits` decimals, none for show: 2.50 -> "2.5" */
export const short = (number, digits = 2) => String(Number(number.toFixed(digits)));

/** -6 -> "−6 dB" */
export const decibels = (db) => `${db > 0 ? '+' : ''}${short(db, 1)} dB`.replace('-', '−');

export const span = ([from, to]) => `${short(from)}–${short(to)} s`;

export function left(seconds) {
  if (seconds === null || seconds === undefined) return '';
  if (seconds < 1.5) return 'about a second left';
  if (seconds < 90) return `about ${Math.round(seconds)} s left`;
  return `about ${Math.round(seconds / 60)} min left`;
}

/** Where a job stands, in words. */
export function progress(job) {
  const what = job.tracks?.length ? list(job.tracks) : 'music';
  if (job.state === 'unreachable') return 'The server does not answer; waiting for it';
  if (job.state === 'queued') return `Waiting for its turn: ${what}`;
  const parts = [`Making ${what}`, `${Math.floor(100 * (job.progress ?? 0))} %`, left(job.left_s)];
  return parts.filter(Boolean).join(', ');
}

const HOW = {
  compose: 'composed', regenerate: 'regenerated', continue: 'continued', vary: 'varied',
  upload: 'yours',
};

/** A line in the list of takes. */
export function take(take, number) {
  const parts = [`Take ${number}`, HOW[take.how] ?? take.how];
  if (take.how === 'upload' && take.name) parts.push(take.name);
  if (take.how === 'regenerate' && take.asked?.spans?.length) parts.push(span(take.asked.spans[0]));
  if (take.how === 'vary') parts.push(`${Math.round(100 * (take.asked?.strength ?? 0.5))} %`);
  if (take.warnings.length) parts.push(take.warnings.join(', '));
  return parts.join(' · ');
}

const WARNINGS = {
  silent: 'This take came out silent. Regenerate it, or go back.',
  clipped: 'This take is louder than full scale and will clip: turn it down.',
  'not finite': 'This take is broken and cannot be heard. Regenerate it, or go back.',
};

export const warning = (name) => WARNINGS[name] ?? `This take is ${name}.`;

/** What Generate will do. */
export function generates(lanes) {
  const made = lanes.filter((lane) => !lane.kept).map((lane) => lane.track);
  const heard = lanes.filter((lane) => lane.kept && lane.take).map((lane) => lane.track);
  if (!made.length) return 'Every track is kept. Open one to make it anew.';
  const what = heard.length ? list(made) : made.length === lanes.length ? 'all tracks' : list(made);
  return heard.length ? `Makes ${what} to go with ${list(heard)}.` : `Makes ${what}.`;
}
