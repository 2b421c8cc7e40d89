// What can be taken away, undo and redo, and errors that are of no other part.

import { $, $$, tell } from './dom.js';
import * as api from './api.js';
import { plainly } from './words.js';

export class Files {
  constructor(studio) {
    this.studio = studio;
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
