// What a person does in a lane: buttons, sliders, lists, fields, files.

import { $ } from './dom.js';
import * as words from './words.js';

/** Lets a person do things in the lane that `view` shows. */
export function listenTo(view) {
  const { root, studio, track } = view;
  const on = (selector, type, listener) => $(selector, root).addEventListener(type, listener);
  root.addEventListener('pointerdown', () => chosen(view));
  root.addEventListener('focusin', () => chosen(view));
  on('.keep', 'click', () => view.keep());
  on('.mute', 'click', () => view.mute());
  on('.solo', 'click', () => view.solo());
  on('.gain', 'input', (event) => studio.mix(track, { gain_db: Number(event.target.value) }));
  on('.gain', 'dblclick', () => studio.mix(track, { gain_db: 0 }));
  on('.again', 'click', () => view.regenerate());
  on('.select', 'click', () => {
    const { seconds } = studio.state.session;
    view.choose([seconds / 4, (3 * seconds) / 4]);
    $('.from', root).focus();
  });
  on('.unselect', 'click', () => {
    studio.select(track, null);
    $('.select', root).focus();
  });
  for (const side of ['.from', '.to']) {
    on(side, 'change', () => {
      view.choose([Number($('.from', root).value), Number($('.to', root).value)]);
      $(side, root).value = words.short(view.span[side === '.from' ? 0 : 1]);
    });
  }
  on('.strength', 'input', (event) => {
    $('.vary output', root).textContent = `${Math.round(100 * event.target.value)} %`;
  });
  on('.vary-now', 'click', () => {
    $('.vary', root).open = false;
    const strength = Number($('.strength', root).value);
    view.does.compose({ do: 'vary', track, strength }, track);
  });
  on('.back', 'click', () => {
    const before = view.lane.takes.findIndex((take) => take.id === view.lane.take) - 1;
    studio.act({ do: 'select', track, take: view.lane.takes[before].id }, track);
  });
  on('.takes', 'change', (event) => {
    studio.act({ do: 'select', track, take: event.target.value }, track);
  });
  on('.upload', 'click', () => $('.file', root).click());
  on('.file', 'change', (event) => {
    const [file] = event.target.files;
    if (file) studio.upload(track, file);
    event.target.value = '';
  });
  takeDrops(view);
}

/** Whoever touches a lane has chosen it. */
function chosen(view) {
  const { selected, span } = view.studio.state;
  if (selected !== view.track) view.studio.change({ selected: view.track, span });
}

/** A sound file that is dropped on a lane becomes its take. */
function takeDrops(view) {
  const { root, studio, track } = view;
  const over = (is) => root.classList.toggle('is-drop', is);
  root.addEventListener('dragover', (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    over(true);
  });
  root.addEventListener('dragleave', (event) => {
    if (!root.contains(event.relatedTarget)) over(false);
  });
  root.addEventListener('drop', (event) => {
    event.preventDefault();
    over(false);
    const [file] = event.dataTransfer.files;
    if (file && studio.state.job) {
      const line = 'Music is being made: drop it again when that is done.';
      studio.fail(track, new Error(line));
    } else if (file) studio.upload(track, file);
  });
}
