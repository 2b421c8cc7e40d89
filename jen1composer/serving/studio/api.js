// What the page asks of the server, and nothing else. Every failure is an ApiError with one plain
// line, the field it is about where the server names one, and the status (0: no answer).

export class ApiError extends Error {
  constructor(line, { field = null, status = 0, retryAfter = null } = {}) {
    super(line);
    Object.assign(this, { field, status, retryAfter });
  }
}

async function ask(method, path, { json, bytes } = {}) {
  const options = { method, headers: {} };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    options.headers['Content-Type'] = 'application/json';
  } else if (bytes !== undefined) {
    options.body = bytes;
    options.headers['Content-Type'] = 'application/octet-stream';
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new ApiError('The server does not answer. Is it still running?');
  }
  if (answer.ok) return answer;
  let said = {};
  try {
    said = await answer.json();
  } catch {
    // not ours: a proxy's page, say
  }
  const retryAfter = Number(answer.headers.get('Retry-After')) || null;
  const line = said.error || `The server answered with ${answer.status}.`;
  throw new ApiError(line, { field: said.field ?? null, status: answer.status, retryAfter });
}

const session = (id) => `/api/sessions/${encodeURIComponent(id)}`;

async function json(...request) {
  return (await ask(...request)).json();
}

export const about = () => json('GET', '/api/about');
export const sessions = () => json('GET', '/api/sessions');
export const begin = (how) => json('POST', '/api/sessions', { json: how });
export const show = (id) => json('GET', session(id));
export const openFile = (file) => json('POST', '/api/sessions/import', { bytes: file });

export const remove = (id) => ask('DELETE', session(id));

/** The next session, or {job} where music has to be made for it. */
export const act = (id, action) => json('POST', `${session(id)}/actions`, { json: action });

export function upload(id, track, file) {
  const query = new URLSearchParams({ track, name: file.name.slice(-200) });
  return json('POST', `${session(id)}/uploads?${query}`, { bytes: file });
}

/** The bytes of a take; FLAC ends at full scale, so what is above it comes as WAV. */
export async function takeSound(id, take) {
  const kind = take.peak > 1 ? 'wav' : 'flac';
  return (await ask('GET', `${session(id)}/takes/${take.id}.${kind}`)).arrayBuffer();
}

/** A download of a session, as {blob, name}. */
export async function download(id, file) {
  const answer = await ask('GET', `${session(id)}/${file}`);
  const stated = /filename="([^"]+)"/.exec(answer.headers.get('Content-Disposition') ?? '');
  return { blob: await answer.blob(), name: stated?.[1] ?? file.split('?')[0] };
}

export const cancel = (job) => json('DELETE', `/api/jobs/${job}`);

const ENDS = ['done', 'failed', 'cancelled'];

/** Follows a job to its end, which it returns; `onChange` hears of every change before. */
export async function follow(job, onChange) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 8000)) {
    const ended = await listen(job, (value) => {
      wait = 500;
      onChange(value);
    });
    if (ended) return ended;
    try {
      // the stream broke off: the server was restarted, or a network in between had enough
      const value = await json('GET', `/api/jobs/${job}`);
      if (ENDS.includes(value.state)) return value;
      onChange(value);
    } catch (error) {
      if (error.status) throw error;
      onChange({ state: 'unreachable' });
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function listen(job, onChange) {
  return new Promise((resolve) => {
    const source = new EventSource(`/api/jobs/${job}/events`);
    const end = (value) => {
      source.close();
      resolve(value);
    };
    source.addEventListener('progress', (event) => onChange(JSON.parse(event.data)));
    for (const name of ENDS) source.addEventListener(name, (event) => end(JSON.parse(event.data)));
    source.onerror = () => end(null);
  });
}
