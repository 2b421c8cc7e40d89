// The listening test as a person takes it: agree, hear and answer pair by pair, the end.
//
// The code of the listener is in the address behind # and in this browser's memory; the server says
// which pair is next, so that any browser with the code goes on where the last one was.

const ENOUGH_S = 3; // of each sound, or all of it, before it can be judged
const REMEMBERED = 'listening-test';
const PLACES = ['first', 'second'];
const PREFERS = { 1: 'first', 2: 'second', 0: 'neither' };

const $ = (selector) => document.querySelector(selector);
const radios = [...document.querySelectorAll('[name=prefers]')];
const sounds = Object.fromEntries(PLACES.map((place) => [place, $(`#${place}`)]));

let code = null;
let standing = null; // {answered, trials}
let heard = { first: 0, second: 0 }; // seconds that each has been played
let ended = { first: false, second: false };
let playedFrom = {}; // where in the sound the time that is not counted yet begins
let beganAt = 0;
let sending = false;

async function ask(method, path, body) {
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: JSON.stringify(body) });
  } catch {
    throw new Error('The server does not answer. Your answers so far are saved; try again.');
  }
  const said = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) {
    throw Object.assign(new Error(said.error ?? `The server answered with ${answer.status}.`),
      { status: answer.status });
  }
  return said;
}

function problem(error) {
  $('#problem').hidden = !error;
  $('#problem').textContent = error ? error.message : '';
}

function show(section, focus) {
  for (const each of document.querySelectorAll('main > section')) each.hidden = each.id !== section;
  if (focus) $(focus).focus();
}

function remember(to) {
  code = to;
  try {
    if (to) localStorage.setItem(REMEMBERED, to);
    else localStorage.removeItem(REMEMBERED);
  } catch {
    // a browser that keeps nothing: the address is enough
  }
  history.replaceState(null, '', to ? `#${to}` : location.pathname);
}

function remembered() {
  const inAddress = location.hash.slice(1);
  if (/^[0-9a-f]{16}$/.test(inAddress)) return inAddress;
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}

function present(next, { focus = true } = {}) {
  standing = next;
  for (const place of PLACES) {
    sounds[place].pause();
    sounds[place].parentElement.classList.remove('playing'); // a new src swallows the event
  }
  if (standing.answered >= standing.trials) {
    for (const place of PLACES) sounds[place].removeAttribute('src');
    $('#code').textContent = code;
    show('end', '#end-title');
    return;
  }
  heard = { first: 0, second: 0 };
  ended = { first: false, second: false };
  playedFrom = {};
  beganAt = performance.now();
  const number = standing.answered;
  for (const place of PLACES) sounds[place].src = `/api/listeners/${code}/trials/${number}/${place}`;
  for (const radio of radios) radio.checked = false;
  $('#place').textContent = `Pair ${number + 1} of ${standing.trials}`;
  $('#progress').max = standing.trials;
  $('#progress').value = number;
  $('#link').href = `/#${code}`;
  show('trial', focus && '#question');
  $('#say').textContent = `Pair ${number + 1} of ${standing.trials}`;
  update();
}

const isHeard = (place) => ended[place] || heard[place] >= ENOUGH_S;

function update() {
  const both = PLACES.every(isHeard);
  for (const place of PLACES) sounds[place].parentElement.classList.toggle('heard', isHeard(place));
  $('#choices').disabled = !both || sending;
  const chosen = radios.some((radio) => radio.checked);
  $('#next').disabled = !both || !chosen || sending;
  const left = PLACES.filter((place) => !isHeard(place));
  const names = left.map((place) => (place === 'first' ? 'A' : 'B'));
  $('#hint').textContent = both
    ? 'Listen again as often as you like.'
    : `Play ${names.join(' and ')} first: a few seconds${left.length > 1 ? ' of each' : ''}.`;
}

/** Counts what has been played since it was counted last; a jump in the sound counts nothing. */
function count(place) {
  const at = sounds[place].currentTime;
  const played = at - (playedFrom[place] ?? at);
  if (played > 0 && played < 2) heard[place] += played;
  playedFrom[place] = at;
  update();
}

function choose(value) {
  if ($('#choices').disabled) return;
  const radio = radios.find((each) => each.value === value);
  radio.checked = true;
  radio.focus();
  update();
}

async function next() {
  if ($('#next').disabled) return;
  const answer = {
    trial: standing.answered,
    prefers: radios.find((radio) => radio.checked).value,
    first_s: heard.first,
    second_s: heard.second,
    took_s: (performance.now() - beganAt) / 1000,
  };
  sending = true;
  update();
  try {
    const now = await ask('POST', `/api/listeners/${code}/answers`, answer);
    problem(null);
    sending = false;
    present(now);
  } catch (error) {
    sending = false;
    if (error.status === 409) await resume(); // answered in another window, or the reply was lost
    else problem(error);
    update();
  }
}

async function resume() {
  try {
    present(await ask('GET', `/api/listeners/${code}`), { focus: false });
    problem(null);
  } catch (error) {
    if (error.status === 404) {
      remember(null); // withdrawn elsewhere, or of another test
      show('consent');
    } else {
      problem(error);
    }
  }
}

async function begin() {
  $('#begin').disabled = true;
  try {
    const now = await ask('POST', '/api/listeners', { consent: true });
    problem(null);
    remember(now.code);
    present(now);
  } catch (error) {
    problem(error);
  }
  $('#begin').disabled = !$('#agree').checked;
}

async function withdraw() {
  $('#sure').returnValue = '';
  $('#sure').showModal();
  await new Promise((done) => $('#sure').addEventListener('close', done, { once: true }));
  if ($('#sure').returnValue !== 'yes') return;
  try {
    await ask('DELETE', `/api/listeners/${code}`);
    for (const place of PLACES) sounds[place].removeAttribute('src');
    remember(null);
    problem(null);
    show('gone', '#gone-title');
  } catch (error) {
    problem(error);
  }
}

function keys(event) {
  if ($('#trial').hidden || $('#sure').open || event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  const place = { a: 'first', b: 'second' }[key];
  if (place) {
    if (sounds[place].paused) sounds[place].play();
    else sounds[place].pause();
  } else if (key in PREFERS) {
    choose(PREFERS[key]);
  } else if (key === 'enter' && !event.target.closest('button, summary, a')) {
    next();
  } else {
    return;
  }
  event.preventDefault();
}

for (const place of PLACES) {
  const sound = sounds[place];
  const other = sounds[place === 'first' ? 'second' : 'first'];
  sound.addEventListener('play', () => {
    other.pause();
    playedFrom[place] = sound.currentTime;
    sound.parentElement.classList.add('playing');
  });
  sound.addEventListener('timeupdate', () => count(place));
  sound.addEventListener('seeking', () => delete playedFrom[place]);
  sound.addEventListener('pause', () => {
    count(place);
    sound.parentElement.classList.remove('playing');
  });
  sound.addEventListener('ended', () => {
    ended[place] = true;
    update();
  });
  sound.addEventListener('error', () => {
    if (sound.getAttribute('src')) problem(new Error('A sound does not load. Open the page again.'));
  });
}
for (const radio of radios) radio.addEventListener('change', update);
$('#agree').addEventListener('change', () => { $('#begin').disabled = !$('#agree').checked; });
$('#begin').addEventListener('click', begin);
$('#next').addEventListener('click', next);
$('#withdraw').addEventListener('click', withdraw);
$('#withdraw-end').addEventListener('click', withdraw);
document.addEventListener('keydown', keys);
window.addEventListener('hashchange', () => {
  if (remembered() !== code) {
    code = remembered();
    resume();
  }
});

code = remembered();
if (code) {
  remember(code);
  resume();
} else {
  show('consent');
}
