// The keyboard. Keys are silent while somebody writes, in menus and dialogs, and with Ctrl or Cmd.

import { $ } from './dom.js';

const WRITES = 'input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]';
const PRESSES = 'button, summary, a[href]';

/** Whether a key pressed at `target` is meant for it; `clicked` is what the mouse pressed last. */
function isTaken(key, target, clicked) {
  if (!(target instanceof Element)) return false;
  if (target.matches(WRITES) || $('dialog[open]')) return true;
  if (target.closest('details.menu[open]')) return true;
  if (key === 'Home') return target.matches('[type=range]');
  // what was reached by keyboard is pressed; after a click with the mouse, space plays
  return key === ' ' && target.matches(PRESSES) && target !== clicked;
}

export function listenToKeys({ studio, player, views }) {
  const chosen = () => views.get(studio.state.selected);
  const idle = (work) => () => !studio.state.job && work();
  const mark = (side) => () => {
    const view = chosen();
    const at = player.transport.position;
    const [from, to] = view?.span ?? [0, studio.state.session.seconds];
    const { seconds } = studio.state.session;
    view?.choose(side === 'from' ? [at, at < to ? to : seconds] : [at > from ? from : 0, at]);
  };
  const does = {
    ' ': () => player.toggle(),
    k: idle(() => chosen()?.keep()),
    r: idle(() => chosen()?.regenerate()),
    z: idle(() => studio.state.session.can_undo && studio.act({ do: 'undo' }, 'top')),
    Z: idle(() => studio.state.session.can_redo && studio.act({ do: 'redo' }, 'top')),
    m: () => chosen()?.mute(),
    s: () => chosen()?.solo(),
    l: () => player.toggleLoop(),
    '[': mark('from'),
    ']': mark('to'),
    Home: () => player.seek(0),
    Escape: () => studio.select(studio.state.selected, null),
    '?': () => $('#help').showModal(),
  };
  [...views.values()].forEach((view, i) => {
    does[String(i + 1)] = () => {
      studio.change({ selected: view.track });
      view.root.focus();
    };
  });
  let clicked = null;
  document.addEventListener('pointerdown', (event) => {
    clicked = event.target.closest?.(PRESSES) ?? null;
  });
  document.addEventListener('focusin', (event) => {
    if (event.target !== clicked) clicked = null;
  });
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!studio.state.session) return;
    const key = /^[a-z]$/i.test(event.key)
      ? event.key.toLowerCase() === 'z' && event.shiftKey ? 'Z' : event.key.toLowerCase()
      : event.key;
    const work = does[key];
    if (!work || isTaken(key, event.target, clicked)) return;
    event.preventDefault();
    if (!event.repeat || key === 'Home') work();
  });
  $('#help-button').addEventListener('click', () => $('#help').showModal());
}
