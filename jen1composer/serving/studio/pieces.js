// The menu of pieces: new ones, files of them, and all that the server holds, to open or to delete.

import { $ } from './dom.js';
import * as api from './api.js';
import { short } from './words.js';

const FORGET = 'Forget unused takes…';

export class Pieces {
  #menu = $('#piece-menu');
  #list = $('#pieces');

  constructor(studio) {
    this.studio = studio;
    const does = {
      music: () => studio.begin({ starter: true }),
      empty: () => studio.begin({}),
      open: () => $('#session-file').click(),
    };
    for (const [name, work] of Object.entries(does)) {
      const button = $(`[data-do=${name}]`, this.#menu);
      button.addEventListener('click', () => this.#chosen(work));
    }
    const forget = $('[data-do=forget]', this.#menu);
    forget.addEventListener('click', () => this.#forget(forget));
    forget.addEventListener('blur', () => {
      forget.classList.remove('asked');
      forget.textContent = FORGET;
    });
    studio.subscribe(({ session, job }) => {
      const isMore = session?.can_undo || session?.lanes.some(({ takes }) => takes.length > 1);
      forget.disabled = Boolean(job) || !isMore;
    });
    this.#menu.addEventListener('toggle', () => this.#menu.open && this.#show());
    $('#session-file').addEventListener('change', (event) => {
      const [file] = event.target.files;
      if (file) studio.openFile(file);
      event.target.value = '';
    });
  }

  #chosen(work) {
    this.#menu.open = false;
    return work();
  }

  /** All sessions, the last changed first. */
  async #show() {
    try {
      const { sessions } = await api.sessions();
      this.#list.replaceChildren(...sessions.map((session) => this.#row(session)));
    } catch {
      this.#list.replaceChildren(); // the menu does without
    }
    this.#list.hidden = !this.#list.children.length;
  }

  #row(session) {
    const row = document.createElement('li');
    const name = session.prompt || 'without words';
    const isHere = session.id === this.studio.state.session?.id;
    const open = button('', () => this.#chosen(() => this.studio.open(session.id)));
    const [words, small] = [document.createElement('span'), document.createElement('small')];
    words.textContent = name;
    small.textContent = isHere
      ? 'open now'
      : `${short(session.seconds)} s, ${when(session.changed)}`;
    open.append(words, small);
    open.title = name;
    if (isHere) open.setAttribute('aria-current', 'true');
    const remove = button('✕', () => this.#ask(row, session, name));
    remove.className = 'quiet';
    remove.setAttribute('aria-label', `Delete ${name}`);
    remove.title = 'Delete';
    row.append(open, remove);
    return row;
  }

  /** Deleting cannot be undone: the row asks whether it is meant. */
  #ask(row, session, name) {
    const before = [...row.children];
    const question = document.createElement('span');
    question.textContent = 'Delete it for good?';
    const yes = button('Delete', () => this.#delete(row, session));
    yes.setAttribute('aria-label', `Delete ${name} for good`);
    const no = button('Keep it', () => {
      row.replaceChildren(...before);
      before[1].focus();
    });
    row.replaceChildren(question, yes, no);
    no.focus();
  }

  /** Nor can forgetting: only a second press on the same button means it. */
  #forget(button) {
    const isAsked = button.classList.toggle('asked');
    button.textContent = isAsked ? 'Forget them, and all undo?' : FORGET;
    if (!isAsked) this.#chosen(() => this.studio.act({ do: 'forget' }, 'top'));
  }

  async #delete(row, session) {
    const next = row.nextElementSibling ?? row.previousElementSibling;
    (next ? $('button', next) : $('summary', this.#menu)).focus();
    await this.studio.remove(session.id);
    await this.#show();
    if (!this.#menu.contains(document.activeElement)) $('summary', this.#menu).focus();
  }
}

function button(text, work) {
  const made = document.createElement('button');
  made.textContent = text;
  made.addEventListener('click', work);
  return made;
}

/** A time as people say it: "14:05" today, else "3 May". */
function when(stamp) {
  const date = new Date(stamp < 1e12 ? 1000 * stamp : stamp);
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString([], { day: 'numeric', month: 'short' });
}
