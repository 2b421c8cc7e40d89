// The two menus at the top: other pieces, and what can be taken away.

import { $, $$, tell } from './dom.js';
import * as api from './api.js';
import { plainly, short } from './words.js';

const RECENT = 6;

export class Files {
  constructor(studio) {
    this.studio = studio;
    const menu = $('#piece-menu');
    const chosen = (work) => {
      menu.open = false;
      return work();
    };
    const does = {
      music: () => studio.begin({ starter: true }),
      empty: () => studio.begin({}),
      open: () => $('#session-file').click(),
    };
    for (const button of $$('[data-do]', menu)) {
      button.addEventListener('click', () => chosen(does[button.dataset.do]));
    }
    menu.addEventListener('toggle', () => menu.open && this.#list(chosen));
    $('#session-file').addEventListener('change', (event) => {
      const [file] = event.target.files;
      if (file) studio.openFile(file);
      event.target.value = '';
    });
    for (const button of $$('[data-file]')) {
      button.addEventListener('click', () => this.#download(button.dataset.file));
    }
    studio.subscribe((state) => {
      const music = state.session?.lanes.some((lane) => lane.take);
      for (const button of $$('[data-file]')) {
        button.disabled = !music && button.dataset.file !== 'session.zip';
      }
      $('#undo').disabled = !state.session?.can_undo || Boolean(state.job);
      $('#redo').disabled = !state.session?.can_redo || Boolean(state.job);
      tell($('#top-error'), state.errors.top && plainly(state.errors.top));
    });
    $('#undo').addEventListener('click', () => studio.act({ do: 'undo' }, 'top'));
    $('#redo').addEventListener('click', () => studio.act({ do: 'redo' }, 'top'));
  }

  /** The sessions that were worked on last. */
  async #list(chosen) {
    try {
      const { sessions } = await api.sessions();
      const now = this.studio.state.session?.id;
      const buttons = sessions
        .filter((session) => session.id !== now)
        .slice(0, RECENT)
        .map((session) => {
          const button = document.createElement('button');
          const small = document.createElement('small');
          small.textContent = `${short(session.seconds)} s, ${when(session.changed)}`;
          const words = document.createElement('span');
          words.textContent = session.prompt || 'without words';
          button.append(words, small);
          button.addEventListener('click', () => chosen(() => this.studio.open(session.id)));
          return button;
        });
      const head = document.createElement('p');
      head.textContent = 'Before';
      $('#recent').replaceChildren(...(buttons.length ? [head, ...buttons] : []));
    } catch {
      $('#recent').replaceChildren(); // the menu does without
    }
  }

  async #download(file) {
    $('#download-menu').open = false;
    const { studio } = this;
    studio.forgive('top');
    tell($('#say'), 'Getting it ready.');
    try {
      const { blob, name } = await api.download(studio.state.session.id, file);
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      studio.change({ notice: `${name} is downloaded.` });
    } catch (error) {
      studio.fail('top', error);
    }
  }
}

/** A time as people say it: "14:05" today, else "3 May". */
function when(stamp) {
  const date = new Date(stamp < 1e12 ? 1000 * stamp : stamp);
  const today = date.toDateString() === new Date().toDateString();
  return today
    ? date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
    : date.toLocaleDateString([], { day: 'numeric', month: 'short' });
}
