// A few words for the document.

export const $ = (selector, within = document) => within.querySelector(selector);
export const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];

/** Shows `text` in the element, or hides it; the same text is not said twice. */
export function tell(element, text) {
  element.hidden = !text;
  if (element.textContent !== (text ?? '')) element.textContent = text ?? '';
}

export function press(button, pressed) {
  button.setAttribute('aria-pressed', String(pressed));
}

export function icon(button, name) {
  $('use', button).setAttribute('href', `#i-${name}`);
}

/** Sets a field that nobody is writing in. */
export function fill(field, value) {
  const text = String(value ?? '');
  if (field !== document.activeElement && field.value !== text) field.value = text;
}

/** Menus close when something in them is chosen, on Escape, and on a press elsewhere. */
export function menusClose() {
  const close = (but) => {
    for (const menu of $$('details.menu[open]')) if (!menu.contains(but)) menu.open = false;
  };
  document.addEventListener('pointerdown', (event) => close(event.target));
  document.addEventListener('focusin', (event) => close(event.target));
  document.addEventListener('keydown', (event) => {
    const menu = event.key === 'Escape' && $('details.menu[open]');
    if (!menu) return;
    menu.open = false;
    $('summary', menu).focus();
    event.stopImmediatePropagation();
  });
}
